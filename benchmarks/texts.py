"""Articles in several scripts, for the data set `text`."""

from collections.abc import Mapping

from .dataset import Table, hashed, moment, picked


_PHRASES_PER_HALF = 70
# Escaped for SQL; twelve parts of sentences each, so that a page never repeats itself.
LANGUAGES: Mapping[str, tuple[str, ...]] = {
    "english": (
        "the council met on Tuesday", "prices rose by 3.4%", "nobody expected the outcome",
        "it''s too early to tell", 'according to a report from "The Observer"', "after the rain",
        "the new bridge opens in May", "a spokeswoman declined to comment", "in the second half",
        "residents were asked to boil water", "the museum''s west wing", "see page 12\\n\\n",
    ),
    "french": (
        "le maire a réuni son conseil", "à l''aube d''un été brûlant", "près de la gare",
        "les élèves ont manifesté", "« rien n''est décidé »", "le prix du blé baisse", "où vivre ?",
        "une œuvre méconnue", "l''orchestre a joué Ravel", "selon l''enquête", "en forêt", "hier\\n",
    ),
    "russian": (
        "совет собрался во вторник", "цены выросли на 3,4%", "никто не ожидал такого исхода",
        "об этом пока рано говорить", "по данным газеты «Наблюдатель»", "после дождя",
        "новый мост откроют в мае", "во втором тайме", "жителей попросили кипятить воду",
        "западное крыло музея", "см. страницу 12\\n\\n", "поезд опоздал",
    ),
    "greek": (
        "το συμβούλιο συνεδρίασε", "οι τιμές αυξήθηκαν", "κανείς δεν το περίμενε", "μετά τη βροχή",
        "η νέα γέφυρα ανοίγει", "στο δεύτερο ημίχρονο", "το μουσείο", "βλέπε σελίδα 12\\n",
        "οι κάτοικοι", "σύμφωνα με την έκθεση", "το τρένο άργησε", "στο λιμάνι",
    ),
    "arabic": (
        "اجتمع المجلس يوم الثلاثاء", "ارتفعت الأسعار", "لم يتوقع أحد النتيجة", "بعد المطر",
        "يفتتح الجسر الجديد في مايو", "في الشوط الثاني", "المتحف", "انظر صفحة ١٢\\n", "السكان",
        "وفقا للتقرير", "تأخر القطار", "في الميناء",
    ),
    "hindi": (
        "परिषद की बैठक मंगलवार को हुई", "कीमतें बढ़ गईं", "किसी को उम्मीद नहीं थी", "बारिश के बाद",
        "नया पुल मई में खुलेगा", "दूसरे हाफ में", "संग्रहालय", "पृष्ठ १२ देखें\\n", "निवासी",
        "रिपोर्ट के अनुसार", "ट्रेन देर से आई", "बंदरगाह पर",
    ),
    "chinese": (
        "市议会周二开会", "价格上涨了百分之三点四", "没有人预料到这个结果", "现在下结论还为时过早",
        "据《观察家报》报道", "雨后", "新桥将于五月通车", "下半场", "居民被要求将水煮沸",
        "博物馆西翼", "见第十二页。\\n", "列车晚点了",
    ),
    "japanese": (
        "市議会は火曜日に開かれた", "物価は3.4%上昇した", "誰も結果を予想していなかった", "雨上がりに",
        "新しい橋は五月に開通する", "後半戦で", "住民は水を沸かすよう求められた", "美術館の西棟",
        "12ページを参照。\\n", "電車が遅れた", "😀🎉 おめでとう", "ニュースによると",
    ),
}  # fmt: skip


def article(language: str, rows: int) -> Table:
    """
    Describe the articles of one language.

    Args:
        language: One of `LANGUAGES`.
        rows: Up to 140 phrases each, cut at any character.

    Returns:
        A table with a second index on the title.
    """
    phrases = LANGUAGES[language]
    first, second = (
        ", ".join(picked(phrases, f"{part}{number}") for number in range(_PHRASES_PER_HALF))
        for part in ("a", "b")
    )
    length = f"1+{hashed('l')}%6000"
    return Table(
        name=f"articles_{language}",
        rows=rows,
        definition="""
            id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
            title VARCHAR(200) NOT NULL,
            published_at DATETIME NOT NULL,
            body MEDIUMTEXT NOT NULL""",
        columns="id, title, published_at, body",
        values=f"""seq, CONCAT({picked(phrases, "t")},' ',seq), {moment("p")},
            LEFT(CONCAT_WS('. ',{first},{second}),{length})""",
        keys="ADD KEY title (title)",
    )
