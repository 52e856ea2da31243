// Rows of the binary protocol of MySQL and MariaDB as SQL text: no I/O, no Python.
//
// `Reader` takes the bytes behind the definitions of the columns, however the network cut them, and
// makes of each row what the server would format by the expressions of app/engine/sql/literals.py.
// Memory: what was received of one row that is not whole, up to about `limit`, and the text, which grows by
// what is in it; a length that the server claims is never allocated. Beyond `limit` rows are counted only.
// Source: mariadb.com/kb/en/resultset-row, dev.mysql.com/doc/dev/mysql-server, "Binary Protocol Resultset".
#pragma once

#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

// Texts are looked through by 16 bytes where every processor of the kind can, else by 8.
#if defined(__SSE2__) && !defined(BACKSTAY_PLAIN)
#include <emmintrin.h>
#define BACKSTAY_SSE2 1
#endif

namespace backstay {

enum class Kind : uint8_t {
  int8 = 0, uint8, int16, uint16, int32, uint32, int64, uint64, year, bare, double_, float_,
  date, datetime, time, text, binary, bit, literal, ascii,
};
constexpr uint8_t last_kind = static_cast<uint8_t>(Kind::ascii);

enum class State : int { more = 0, over, refused, malformed, out_of_order, full, odd };

// A column: how it travels, and for times how many digits of a second are shown, 0 to 6.
struct Column {
  Kind kind;
  uint8_t decimals;
};

constexpr size_t header_bytes = 4;
constexpr size_t whole_packet = 0xFFFFFF;  // a packet of this many bytes goes on in the next one
constexpr size_t end_bytes = 9;            // one that begins with 0xFE and is shorter ends the rows
constexpr size_t join_bytes = 4;           // of "),\n(", where the server's limit counts one byte
constexpr size_t value_bytes = 64;         // more than any number or time takes, with a comma
constexpr int digits_of_double = 15;       // beyond, the server writes an exponent

// Text that is written; `room` is made before, so that the writing itself checks nothing.
// Room that nobody writes into takes no memory: it is never filled, as that of a vector is.
class Text {
 public:
  Text() = default;
  Text(const Text&) = delete;
  Text& operator=(const Text&) = delete;
  ~Text() { std::free(bytes_); }
  void clear() { used_ = 0; }
  size_t size() const { return used_; }
  const char* data() const { return bytes_; }
  // Make room for so many bytes behind `end`, which is where they begin.
  char* room(size_t more) {
    if (size_ - used_ < more) grow(used_ + more);
    return bytes_ + used_;
  }
  void upto(const char* end) { used_ = static_cast<size_t>(end - bytes_); }

 private:
  char* bytes_ = nullptr;
  size_t size_ = 0;
  size_t used_ = 0;

  void grow(size_t least) {
    const size_t wanted = least > 2 * size_ ? least : 2 * size_;
    void* found = std::realloc(bytes_, wanted);
    if (found == nullptr) throw std::bad_alloc();
    bytes_ = static_cast<char*>(found);
    size_ = wanted;
  }
};

inline uint64_t little(const uint8_t* at, size_t size) {
  uint64_t value = 0;
  for (size_t i = 0; i < size; i++) value |= static_cast<uint64_t>(at[i]) << (8 * i);
  return value;
}

// The same of a fixed size, one load where the processor has that order.
template <typename Number>
inline Number little(const uint8_t* at) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  Number value;
  std::memcpy(&value, at, sizeof value);
  return value;
#else
  return static_cast<Number>(little(at, sizeof(Number)));
#endif
}

// All numbers of two digits: half as many divisions as digit by digit.
constexpr char pairs[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354"
    "55565758596061626364656667686970717273747576777879808182838485868788899091929394959697989900";

inline char* two(char* to, uint32_t value) {  // 0 to 99
  std::memcpy(to, pairs + 2 * value, 2);
  return to + 2;
}

inline char* four(char* to, uint32_t value) { return two(two(to, value / 100), value % 100); }

inline char* eight(char* to, uint32_t value) { return four(four(to, value / 10000), value % 10000); }

inline char* write_small(char* to, uint32_t value) {  // 0 to 9999
  if (value < 10) {
    *to = static_cast<char>('0' + value);
    return to + 1;
  }
  if (value < 100) return two(to, value);
  if (value < 1000) {
    *to = static_cast<char>('0' + value / 100);
    return two(to + 1, value % 100);
  }
  return four(to, value);
}

inline char* write_number(char* to, uint32_t value) {
  if (value < 10000) return write_small(to, value);
  if (value < 100000000) return four(write_small(to, value / 10000), value % 10000);
  return eight(write_small(to, value / 100000000), value % 100000000);
}

inline char* write_number(char* to, uint64_t value) {
  if (value <= UINT32_MAX) return write_number(to, static_cast<uint32_t>(value));
  const uint64_t high = value / 100000000;  // at most 12 digits
  const uint32_t low = static_cast<uint32_t>(value % 100000000);
  if (high <= UINT32_MAX) return eight(write_number(to, static_cast<uint32_t>(high)), low);
  to = write_small(to, static_cast<uint32_t>(high / 100000000));
  return eight(eight(to, static_cast<uint32_t>(high % 100000000)), low);
}

// Copy what is mostly short: 16 bytes at once where both sides have so many.
inline void copy(char* to, const uint8_t* from, size_t size, size_t readable) {
  if (size <= 16 && readable >= 16) {
    std::memcpy(to, from, 16);
  } else if (size != 0) {
    std::memcpy(to, from, size);
  }
}

// Most doubles that people store have a few digits, and six behind the point at most: found without the search
// for the shortest ones. A quotient of two whole numbers is rounded right, so these digits give the value back;
// no other 15 digits or less do. Returns null for any other value.
inline char* write_plain_double(char* to, double value) {  // above 0
  constexpr double scale = 1e6;
  if (!(value < 1e9)) return nullptr;
  const uint64_t scaled = static_cast<uint64_t>(value * scale + 0.5);
  if (scaled == 0 || static_cast<double>(scaled) / scale != value) return nullptr;
  to = write_number(to, static_cast<uint32_t>(scaled / 1000000));
  uint32_t rest = static_cast<uint32_t>(scaled % 1000000);
  if (rest == 0) return to;
  *to++ = '.';
  to = two(four(to, rest / 100), rest % 100);
  while (to[-1] == '0') to--;
  return to;
}

// A double as the server writes it, at most 32 bytes: the shortest digits that give it back, as its `my_gcvt`
// lays them out. Infinities and what is no number are in no table; they are written as its casts do.
inline char* write_double(char* to, double value) {
  if (!std::isfinite(value)) value = 0;
  if (std::signbit(value)) { *to++ = '-'; value = -value; }
  if (value == 0) { *to++ = '0'; return to; }
  if (char* plain = write_plain_double(to, value)) return plain;
  char found[40];
  const char* end = std::to_chars(found, found + sizeof found, value, std::chars_format::scientific).ptr;
  char digits[24];
  int count = 0;
  const char* at = found;
  for (; at != end && *at != 'e'; at++) {
    if (*at != '.') digits[count++] = *at;
  }
  while (count > 1 && digits[count - 1] == '0') count--;
  int exponent = 0;
  if (at != end) std::from_chars(at[1] == '+' ? at + 2 : at + 1, end, exponent);
  const int point = exponent + 1;  // digits before the point
  if (point <= -digits_of_double || (point > digits_of_double && count <= point)) {
    *to++ = digits[0];
    if (count > 1) {
      *to++ = '.';
      std::memcpy(to, digits + 1, static_cast<size_t>(count - 1));
      to += count - 1;
    }
    *to++ = 'e';
    return std::to_chars(to, to + 8, exponent).ptr;
  }
  if (point <= 0) {
    *to++ = '0';
    *to++ = '.';
    for (int i = point; i < 0; i++) *to++ = '0';
    std::memcpy(to, digits, static_cast<size_t>(count));
    return to + count;
  }
  const int whole = count < point ? count : point;
  std::memcpy(to, digits, static_cast<size_t>(whole));
  to += whole;
  for (int i = whole; i < point; i++) *to++ = '0';
  if (count > point) {
    *to++ = '.';
    std::memcpy(to, digits + point, static_cast<size_t>(count - point));
    to += count - point;
  }
  return to;
}

// Tell whether any of eight bytes is one that QUOTE() escapes: NUL, 0x1A, a quote or a backslash.
inline bool has_special(uint64_t bytes) {
  constexpr uint64_t ones = 0x0101010101010101ULL;
  auto zero = [](uint64_t v) { return (v - ones) & ~v & (ones << 7); };
  return (zero(bytes) | zero(bytes ^ (ones * 0x1A)) | zero(bytes ^ (ones * '\'')) |
          zero(bytes ^ (ones * '\\'))) != 0;
}

inline bool is_ascii(const uint8_t* at, size_t size) {
  uint8_t bits = 0;
  for (size_t i = 0; i < size; i++) bits |= at[i];
  return bits < 0x80;
}

// Tell whether bytes are UTF-8 as Python's decoder takes it: no surrogates, nothing longer than it need be.
inline bool is_utf8(const uint8_t* at, size_t size) {
  const uint8_t* const end = at + size;
  while (at != end) {
    uint64_t eight;
    while (end - at >= 8 && (std::memcpy(&eight, at, 8), (eight & 0x8080808080808080ULL) == 0)) at += 8;
    if (at == end) break;
    const uint8_t first = *at++;
    if (first < 0x80) continue;
    if (first < 0xC2 || first > 0xF4) return false;
    const int more = first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
    if (end - at < more) return false;
    // What the second byte may be depends on the first one.
    const uint8_t least = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    const uint8_t most = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    if (*at < least || *at > most) return false;
    for (int i = 1; i < more; i++) {
      if ((at[i] & 0xC0) != 0x80) return false;
    }
    at += more;
  }
  return true;
}

// Write a byte of a text, escaped where QUOTE() does.
inline char* write_escaped(char* to, uint8_t byte) {
  switch (byte) {
    case '\0': *to++ = '\\'; *to++ = '0'; break;
    case 0x1A: *to++ = '\\'; *to++ = 'Z'; break;
    case '\'': case '\\': *to++ = '\\'; [[fallthrough]];
    default: *to++ = static_cast<char>(byte);
  }
  return to;
}

#ifdef BACKSTAY_SSE2
// Bits of those of 16 bytes that QUOTE() escapes.
inline uint32_t specials(__m128i bytes) {
  const __m128i found = _mm_or_si128(
      _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_setzero_si128()), _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x1A))),
      _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\'')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'))));
  return static_cast<uint32_t>(_mm_movemask_epi8(found));
}
#endif

// `readable` bytes are there, `size` of them the text's; up to 16 more than are written may be overwritten.
inline char* write_quoted(char* to, const uint8_t* from, size_t size, size_t readable) {
  *to++ = '\'';
  size_t i = 0;
#ifdef BACKSTAY_SSE2
  while (i < size && readable - i >= 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
    const size_t there = size - i < 16 ? size - i : 16;
    const uint32_t found = specials(bytes) & ((1u << there) - 1);
    if (found == 0) {
      to += there;
      i += there;
      continue;
    }
    const size_t before = static_cast<size_t>(__builtin_ctz(found));
    to = write_escaped(to + before, from[i + before]);
    i += before + 1;
  }
#else
  (void)readable;
#endif
  while (i < size) {
    uint64_t eight;
    while (i + 8 <= size) {
      std::memcpy(&eight, from + i, 8);
      if (has_special(eight)) break;
      std::memcpy(to, &eight, 8);
      to += 8;
      i += 8;
    }
    for (size_t stop = i + 8 < size ? i + 8 : size; i < stop; i++) to = write_escaped(to, from[i]);
  }
  *to++ = '\'';
  return to;
}

// Digits of all bytes, one after the other.
struct HexDigits {
  char of[512];
  constexpr HexDigits() : of() {
    for (int i = 0; i < 256; i++) {
      of[2 * i] = "0123456789ABCDEF"[i >> 4];
      of[2 * i + 1] = "0123456789ABCDEF"[i & 15];
    }
  }
};

inline char* write_hex(char* to, const uint8_t* from, size_t size) {
  static constexpr HexDigits digits;
  *to++ = 'X';
  *to++ = '\'';
  for (size_t i = 0; i < size; i++) std::memcpy(to + 2 * i, digits.of + 2 * from[i], 2);
  to += 2 * size;
  *to++ = '\'';
  return to;
}

// What needs a second look: a literal that is NULL, a FLOAT that is zero, whose sign MariaDB does not send,
// other bytes than ASCII in a column of that character set.
struct Seen {
  bool missing = false;
  bool zero = false;
  bool odd_ascii = false;
};

// One row out of the payload of its packet, written behind `text`.
class Row {
 public:
  Row(const uint8_t* at, size_t size, Text& text, Seen& seen)
      : at_(at), end_(at + size), to_(nullptr), text_(text), seen_(seen) {}

  // Append its values with commas; false when it is none.
  bool write(const std::vector<Column>& columns) {
    const size_t bits = (columns.size() + 9) / 8;
    if (left() < 1 + bits || *at_ != 0) return false;
    const uint8_t* nulls = at_ + 1;
    at_ += 1 + bits;
    // For all that is no text; texts make more.
    to_ = text_.room(after_ = columns.size() * value_bytes);
    for (size_t i = 0; i < columns.size(); i++) {
      if (i != 0) *to_++ = ',';
      if (nulls[(i + 2) / 8] >> ((i + 2) % 8) & 1) {
        seen_.missing |= columns[i].kind == Kind::literal;
        put("NULL", 4);
      } else if (!value(columns[i])) {
        return false;
      }
    }
    text_.upto(to_);
    return at_ == end_;
  }

 private:
  const uint8_t* at_;
  const uint8_t* end_;
  char* to_;
  size_t after_ = 0;
  Text& text_;
  Seen& seen_;

  void put(const void* bytes, size_t size) {
    if (size != 0) std::memcpy(to_, bytes, size);
    to_ += size;
  }

  size_t left() const { return static_cast<size_t>(end_ - at_); }

  bool take(size_t size, const uint8_t*& found) {
    if (left() < size) return false;
    found = at_;
    at_ += size;
    return true;
  }

  // Take a value with its length before it.
  bool sized(const uint8_t*& found, size_t& size) {
    const uint8_t* first;
    if (!take(1, first) || *first == 0xFB || *first == 0xFF) return false;
    uint64_t length = *first;
    if (length > 0xFB) {
      const size_t more = length == 0xFC ? 2 : length == 0xFD ? 3 : 8;
      const uint8_t* at;
      if (!take(more, at)) return false;
      length = little(at, more);
    }
    if (length > left()) return false;
    size = static_cast<size_t>(length);
    return take(size, found);
  }

  template <typename Integer>
  bool integer() {
    const uint8_t* at;
    if (!take(sizeof(Integer), at)) return false;
    signed_number(little<Integer>(at));
    return true;
  }

  template <typename Integer>
  void signed_number(Integer value) {
    using Wide = std::conditional_t<sizeof(Integer) == 8, uint64_t, uint32_t>;
    Wide size = static_cast<Wide>(value);
    if (std::is_signed_v<Integer> && value < 0) {
      *to_++ = '-';
      size = 0 - size;
    }
    to_ = write_number(to_, size);
  }

  bool value(Column column) {
    switch (column.kind) {
      case Kind::int8: return integer<int8_t>();
      case Kind::uint8: return integer<uint8_t>();
      case Kind::int16: return integer<int16_t>();
      case Kind::uint16: return integer<uint16_t>();
      case Kind::int32: return integer<int32_t>();
      case Kind::uint32: return integer<uint32_t>();
      case Kind::int64: return integer<int64_t>();
      case Kind::uint64: return integer<uint64_t>();
      case Kind::year: return year();
      case Kind::double_: return real<double, uint64_t>();
      case Kind::float_: return real<float, uint32_t>();
      case Kind::date: return date(false, 0);
      case Kind::datetime: return date(true, column.decimals);
      case Kind::time: return time(column.decimals);
      case Kind::bit: return bit();
      case Kind::bare: case Kind::literal: case Kind::text: case Kind::ascii:
      case Kind::binary:
        return bytes(column.kind);
    }
    return false;
  }

  bool year() {
    const uint8_t* at;
    if (!take(2, at)) return false;
    const uint32_t value = little<uint16_t>(at);
    if (value > 9999) return false;
    to_ = four(to_, value);
    return true;
  }

  template <typename Real, typename Bits>
  bool real() {
    const uint8_t* at;
    if (!take(sizeof(Real), at)) return false;
    const Bits bits = little<Bits>(at);
    seen_.zero |= sizeof(Real) == 4 && bits == 0;
    Real value;
    std::memcpy(&value, &bits, sizeof value);
    if (sizeof(Real) == 4 && value == 0 && std::signbit(value)) {
      put("'-1e-46'", 8);  // too small for a FLOAT, so that it becomes -0 again
      return true;
    }
    char* to = to_;
    *to++ = '\'';
    to = write_double(to, static_cast<double>(value));
    *to++ = '\'';
    to_ = to;
    return true;
  }

  // The parts of a date or a time, whose length says how many of them are not zero.
  bool parts(uint8_t (&found)[12], size_t& size) {
    const uint8_t* at;
    std::memset(found, 0, sizeof found);
    if (!take(1, at)) return false;
    size = *at;
    if (size > sizeof found || !take(size, at)) return false;
    if (size != 0) std::memcpy(found, at, size);
    return true;
  }

  static char* fraction(char* to, uint64_t micro, uint8_t decimals) {
    if (decimals == 0) return to;
    *to++ = '.';
    const uint32_t six = static_cast<uint32_t>(micro);
    two(four(to, six / 100), six % 100);
    return to + decimals;
  }

  static char* clock(char* to, const uint8_t* at) {  // behind the hours
    *to++ = ':';
    to = two(to, at[0]);
    *to++ = ':';
    return two(to, at[1]);
  }

  bool date(bool has_time, uint8_t decimals) {
    uint8_t at[12];
    size_t size;
    if (!parts(at, size) || (size != 0 && size != 4 && size != 7 && size != 11)) return false;
    const uint32_t year = little<uint16_t>(at), micro = little<uint32_t>(at + 7);
    if (year > 9999 || at[2] > 99 || at[3] > 99 || at[4] > 99 || at[5] > 99 || at[6] > 99 || micro > 999999) {
      return false;
    }
    char* to = to_;
    *to++ = '\'';
    to = four(to, year);
    *to++ = '-';
    to = two(to, at[2]);
    *to++ = '-';
    to = two(to, at[3]);
    if (has_time) {
      *to++ = ' ';
      to = fraction(clock(two(to, at[4]), at + 5), micro, decimals);
    }
    *to++ = '\'';
    to_ = to;
    return true;
  }

  bool time(uint8_t decimals) {
    uint8_t at[12];
    size_t size;
    if (!parts(at, size) || (size != 0 && size != 8 && size != 12)) return false;
    const uint64_t hours = static_cast<uint64_t>(little<uint32_t>(at + 1)) * 24 + at[5];
    const uint32_t micro = little<uint32_t>(at + 8);
    if (at[0] > 1 || at[6] > 99 || at[7] > 99 || micro > 999999) return false;
    char* to = to_;
    *to++ = '\'';
    if (at[0] != 0) *to++ = '-';
    if (hours < 10) *to++ = '0';
    to = write_number(to, hours);
    to = fraction(clock(to, at + 6), micro, decimals);
    *to++ = '\'';
    to_ = to;
    return true;
  }

  bool bit() {
    const uint8_t* at;
    size_t size;
    if (!sized(at, size) || size > 8) return false;
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) value = value << 8 | at[i];
    to_ = write_number(to_, value);
    return true;
  }

  bool bytes(Kind kind) {
    const uint8_t* at;
    size_t size;
    if (!sized(at, size)) return false;
    const size_t readable = static_cast<size_t>(end_ - at);
    text_.upto(to_);
    to_ = text_.room(2 * size + after_);
    if (kind == Kind::binary) {
      to_ = write_hex(to_, at, size);
    } else if (kind == Kind::bare || kind == Kind::literal) {
      copy(to_, at, size, readable);
      to_ += size;
    } else {
      if (kind == Kind::ascii) seen_.odd_ascii |= !is_ascii(at, size);
      to_ = write_quoted(to_, at, size, readable);
    }
    return true;
  }
};

// Makes the text of all rows of one result.
class Reader {
 public:
  // `limit` is the most bytes of text, with one byte between two rows, as group_concat_max_len counts.
  // With `full` the text is given out in pieces, and `limit` is the most bytes of one row: behind the row by
  // which a piece has that many the state is `full`, and at a row that cannot be in one it is `odd`.
  Reader(std::vector<Column> columns, size_t limit, size_t full)
      : columns_(std::move(columns)), limit_(limit), full_(full) {}

  // Begin with the next result, whose first packet has this number.
  void begin(uint8_t sequence) {
    text_.clear();
    pending_.clear();
    head_used_ = 0;
    left_ = 0;
    rows_ = 0;
    sequence_ = sequence;
    in_packet_ = goes_on_ = is_large_ = is_cut_ = false;
    seen_ = Seen();
    state_ = State::more;
  }

  State state() const { return state_; }
  size_t limit() const { return limit_; }
  size_t rows() const { return rows_; }
  bool is_cut() const { return is_cut_; }
  const Seen& seen() const { return seen_; }
  const Text& text() const { return text_; }
  // How much of what was fed last was looked at; all of it unless the state is `full`, `odd` or an error.
  size_t consumed() const { return consumed_; }

  // Go on behind a piece that was given out.
  void resume() {
    text_.clear();
    rows_ = 0;
    state_ = State::more;
  }

  // Go on behind an odd row, and only count what comes.
  void drain() {
    resume();
    is_cut_ = true;
  }

  // The packet that ended the rows, or refused them.
  const std::vector<uint8_t>& packet() const { return pending_; }

  State feed(const uint8_t* at, size_t size) {
    const uint8_t* const end = at + size;
    while (at != end && state_ == State::more) {
      if (!in_packet_) {
        header(at, end);
        continue;
      }
      const size_t there = static_cast<size_t>(end - at);
      if (!goes_on_ && pending_.empty() && left_ <= there && left_ < whole_packet) {
        const size_t length = left_;
        in_packet_ = false;
        payload(at, length);
        at += length;
        continue;
      }
      const size_t taken = left_ < there ? left_ : there;
      keep(at, taken);
      at += taken;
      left_ -= taken;
      if (left_ == 0) end_packet();
    }
    consumed_ = size - static_cast<size_t>(end - at);
    if (at != end && state_ == State::over) state_ = State::malformed;
    return state_;
  }

 private:
  const std::vector<Column> columns_;
  const size_t limit_;
  const size_t full_;  // 0 where the text is given out as a whole
  size_t consumed_ = 0;
  Text text_;
  std::vector<uint8_t> pending_;  // of a row that is not whole yet
  uint8_t head_[header_bytes] = {};
  size_t head_used_ = 0;
  size_t left_ = 0;  // bytes of the packet that are still to come
  size_t rows_ = 0;
  uint8_t sequence_ = 0;
  bool in_packet_ = false, goes_on_ = false, is_large_ = false, is_cut_ = false, is_whole_ = false;
  Seen seen_;
  State state_ = State::more;

  void header(const uint8_t*& at, const uint8_t* end) {
    if (head_used_ == 0 && static_cast<size_t>(end - at) >= header_bytes) {  // most are whole
      std::memcpy(head_, at, header_bytes);
      at += header_bytes;
      head_used_ = header_bytes;
    }
    while (head_used_ < header_bytes && at != end) head_[head_used_++] = *at++;
    if (head_used_ < header_bytes) return;
    head_used_ = 0;
    left_ = little<uint32_t>(head_) & whole_packet;
    is_whole_ = left_ == whole_packet;
    if (head_[3] != sequence_) {
      state_ = State::out_of_order;
      return;
    }
    sequence_++;
    in_packet_ = true;
    if (left_ == 0) end_packet();  // nothing will come that could
  }

  // A row's text is as long as what was received of it, but for 8 bytes or less a column.
  void keep(const uint8_t* at, size_t size) {
    if (is_large_) return;
    pending_.insert(pending_.end(), at, at + size);
    if (pending_.size() > limit_ + 16 * columns_.size() + 1024 && pending_[0] == 0) {
      is_large_ = true;
      pending_.resize(1);
      pending_.shrink_to_fit();
    }
  }

  void end_packet() {
    in_packet_ = false;
    goes_on_ = is_whole_;
    if (goes_on_) return;
    if (is_large_) {
      rows_++;
      is_large_ = false;
      cut();
      pending_.clear();
      return;
    }
    std::vector<uint8_t> whole;
    whole.swap(pending_);
    payload(whole.data(), whole.size());
    if (pending_.empty()) {  // its memory is used again
      whole.clear();
      pending_.swap(whole);
    }
  }

  // The text is dropped; a piece of it only by whoever takes it.
  void cut() {
    if (full_ != 0) {
      if (!is_cut_) state_ = State::odd;
      return;
    }
    is_cut_ = true;
    text_.clear();
  }

  void payload(const uint8_t* at, size_t size) {
    if (size == 0) {
      state_ = State::malformed;
    } else if (*at == 0) {
      row(at, size);
    } else if (*at == 0xFF || (*at == 0xFE && size < end_bytes)) {
      pending_.assign(at, at + size);
      state_ = *at == 0xFF ? State::refused : State::over;
    } else {
      state_ = State::malformed;
    }
  }

  void row(const uint8_t* at, size_t size) {
    rows_++;
    if (is_cut_) return;
    if (rows_ > 1) {
      char* to = text_.room(join_bytes);
      std::memcpy(to, "),\n(", join_bytes);
      text_.upto(to + join_bytes);
    }
    const size_t before = text_.size();
    if (!Row(at, size, text_, seen_).write(columns_)) {
      state_ = State::malformed;
      return;
    }
    const size_t joined = text_.size() - (rows_ - 1) * (join_bytes - 1);
    if (full_ == 0) {
      if (seen_.missing || joined > limit_) cut();
    } else if (seen_.missing || seen_.odd_ascii || text_.size() - before > limit_) {
      cut();
    } else if (joined + 1 >= full_) {  // a byte behind each row
      state_ = State::full;
    }
  }
};

}  // namespace backstay
