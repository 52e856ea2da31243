// Feeds app/engine/native/row_text.h with rows, cut and damaged at random, for a number of seconds.
//
// Built with AddressSanitizer and UBSan by `make fuzz`. Every piece lies in memory of exactly its size, so that
// reading one byte too many ends the program. What is not damaged must give one text however it is cut.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>

#include "row_text.h"

using namespace backstay;
using Bytes = std::vector<uint8_t>;

static std::mt19937_64 source;

static uint64_t below(uint64_t count) { return source() % count; }

static void put(Bytes& to, uint64_t value, size_t size) {
  for (size_t i = 0; i < size; i++) to.push_back(static_cast<uint8_t>(value >> (8 * i)));
}

static uint64_t number() {
  static const uint64_t edges[] = {0, 1, 0x7F, 0x80, 0xFF, 0x7FFFFFFF, 0x80000000, 1ULL << 63, ~0ULL,
                                   0x7FEFFFFFFFFFFFFF, 0x7FF0000000000000, 0xFFF8000000000000, 0x8000000000000000};
  return below(3) == 0 ? edges[below(sizeof edges / sizeof *edges)] : source() >> below(64);
}

static void put_sized(Bytes& to) {
  static const size_t sizes[] = {0, 1, 7, 8, 9, 250, 251, 300, 70000};
  const size_t size = below(20) == 0 ? sizes[below(9)] : below(40);
  if (size < 251) {
    put(to, size, 1);
  } else if (size < 65536) {
    to.push_back(0xFC);
    put(to, size, 2);
  } else {
    to.push_back(0xFD);
    put(to, size, 3);
  }
  static const uint8_t special[] = {0, '\'', '\\', 0x1A, '\r', '\n', 'x', 0xC3};
  for (size_t i = 0; i < size; i++) to.push_back(below(2) ? special[below(8)] : static_cast<uint8_t>(source()));
}

static void put_value(Bytes& to, Kind kind) {
  switch (kind) {
    case Kind::int8: case Kind::uint8: return put(to, number(), 1);
    case Kind::int16: case Kind::uint16: return put(to, number(), 2);
    case Kind::year: return put(to, below(10000), 2);
    case Kind::int32: case Kind::uint32: case Kind::float_: return put(to, number(), 4);
    case Kind::int64: case Kind::uint64: case Kind::double_: return put(to, number(), 8);
    case Kind::date: case Kind::datetime: {
      static const size_t sizes[] = {0, 4, 7, 11};
      const size_t size = sizes[below(4)];
      put(to, size, 1);
      if (size >= 4) put(to, below(10000), 2), put(to, below(13), 1), put(to, below(32), 1);
      if (size >= 7) put(to, below(24), 1), put(to, below(60), 1), put(to, below(60), 1);
      if (size == 11) put(to, below(1000000), 4);
      return;
    }
    case Kind::time: {
      static const size_t sizes[] = {0, 8, 12};
      const size_t size = sizes[below(3)];
      put(to, size, 1);
      if (size == 0) return;
      put(to, below(2), 1), put(to, number(), 4);
      put(to, below(24), 1), put(to, below(60), 1), put(to, below(60), 1);
      if (size == 12) put(to, below(1000000), 4);
      return;
    }
    case Kind::bit: {
      const size_t size = below(9);
      put(to, size, 1);
      return put(to, number(), size);
    }
    default: return put_sized(to);
  }
}

static void put_packet(Bytes& to, const Bytes& payload, uint8_t& sequence) {
  put(to, payload.size(), 3);
  to.push_back(sequence++);
  to.insert(to.end(), payload.begin(), payload.end());
}

static Bytes answer(const std::vector<Column>& columns, uint8_t sequence) {
  Bytes to;
  for (uint64_t rows = below(12); rows > 0; rows--) {
    Bytes row(1 + (columns.size() + 9) / 8, 0), values;
    for (size_t i = 0; i < columns.size(); i++) {
      if (below(6) == 0) row[1 + (i + 2) / 8] |= static_cast<uint8_t>(1 << ((i + 2) % 8));
      else put_value(values, columns[i].kind);
    }
    row.insert(row.end(), values.begin(), values.end());
    put_packet(to, row, sequence);
  }
  if (below(8) == 0) put_packet(to, {0xFF, 0x15, 0x04, '#', 'H', 'Y', '0', '0', '0', 'n', 'o'}, sequence);
  else put_packet(to, {0xFE, 0, 0, 2, 0}, sequence);
  return to;
}

static void damage(Bytes& bytes) {
  for (uint64_t times = 1 + below(6); times > 0 && !bytes.empty(); times--) {
    const size_t at = below(bytes.size());
    switch (below(5)) {
      case 0: bytes[at] = static_cast<uint8_t>(source()); break;
      case 1: bytes[at] ^= static_cast<uint8_t>(1 << below(8)); break;
      case 2: bytes.resize(at); break;
      case 3: bytes.erase(bytes.begin() + static_cast<long>(at)); break;
      default: bytes.insert(bytes.begin() + static_cast<long>(at), static_cast<uint8_t>(below(3) ? 0xFF : source()));
    }
  }
}

static State feed(Reader& reader, const Bytes& bytes, bool cut) {
  State state = reader.state();
  for (size_t at = 0; at < bytes.size() && state == State::more;) {
    const size_t size = cut ? std::min<size_t>(1 + below(below(2) ? 8 : 400), bytes.size() - at) : bytes.size();
    std::unique_ptr<uint8_t[]> piece(new uint8_t[size]);
    std::memcpy(piece.get(), bytes.data() + at, size);
    state = reader.feed(piece.get(), size);
    at += size;
  }
  return state;
}

static void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "row_text.h: %s\n", what);
  std::abort();
}

static bool same(const Reader& a, const Reader& b) {
  return a.rows() == b.rows() && a.is_cut() == b.is_cut() && a.text().size() == b.text().size() &&
         (a.text().size() == 0 || std::memcmp(a.text().data(), b.text().data(), a.text().size()) == 0);
}

// What a reader gives out in pieces, joined; nothing where a row is odd.
static std::string joined(Reader& reader, const Bytes& bytes, bool cut, size_t full, State& state) {
  std::string found;
  bool is_odd = false, is_behind = false;
  auto take = [&] {
    if (is_behind && reader.rows() != 0) found += "),\n(";
    is_behind = true;  // also behind a row whose text is empty
    found.append(reader.text().data(), reader.text().size());
  };
  state = reader.state();
  for (size_t at = 0; at < bytes.size() && state == State::more;) {
    const size_t size = cut ? std::min<size_t>(1 + below(400), bytes.size() - at) : bytes.size() - at;
    std::unique_ptr<uint8_t[]> piece(new uint8_t[size]);
    std::memcpy(piece.get(), bytes.data() + at, size);
    state = reader.feed(piece.get(), size);
    at += reader.consumed();
    if (state == State::full) {
      require(reader.text().size() + 1 >= full, "a piece is not full");
      take();
      reader.resume();
      state = State::more;
    } else if (state == State::odd) {
      require(!is_odd, "a row is odd behind another one");
      is_odd = true;
      reader.drain();
      state = State::more;
    }
  }
  if (state == State::over && !is_odd) take();
  return is_odd ? std::string() : found;
}

static void run_in_pieces(const std::vector<Column>& columns, const Bytes& bytes, uint8_t sequence, const Reader& whole) {
  const size_t full = 1 + below(below(2) ? 100 : 4000);
  Reader one(columns, 1 << 20, full), other(columns, 1 << 20, full);
  one.begin(sequence);
  other.begin(sequence);
  State first, second;
  const std::string text = joined(one, bytes, false, full, first);
  require(joined(other, bytes, true, full, second) == text && first == second, "pieces depend on how an answer was cut");
  if (first != State::over || text.empty() || whole.is_cut()) return;
  require(text == std::string(whole.text().data(), whole.text().size()), "pieces are not the whole");
}

static void run_once() {
  std::vector<Column> columns(1 + below(below(4) ? 6 : 40));
  for (Column& column : columns) {
    column = {static_cast<Kind>(below(last_kind + 1)), static_cast<uint8_t>(below(7))};
  }
  static const size_t limits[] = {0, 10, 200, 1 << 20};
  const size_t limit = limits[below(4)];
  const uint8_t sequence = static_cast<uint8_t>(source());
  Bytes bytes = answer(columns, sequence);
  Reader whole(columns, limit, 0), cut(columns, limit, 0);
  for (int times = 0; times < 2; times++) {  // a reader is used again
    whole.begin(sequence);
    cut.begin(sequence);
    const State state = feed(whole, bytes, false);
    require(state == State::over || state == State::refused, "a good answer is refused");
    require(feed(cut, bytes, true) == state && same(whole, cut), "an answer depends on how it was cut");
    require(whole.text().size() <= limit + 3 * whole.rows() + 4, "there is more text than there may be");
  }
  run_in_pieces(columns, bytes, sequence, whole);
  damage(bytes);
  std::unique_ptr<uint8_t[]> exact(new uint8_t[bytes.size()]);  // what is read behind it is noticed
  std::memcpy(exact.get(), bytes.data(), bytes.size());
  is_utf8(exact.get(), bytes.size());
  State state;
  Reader pieces(columns, limit, 1 + below(200));
  pieces.begin(sequence);
  joined(pieces, bytes, true, 0, state);
  whole.begin(sequence);
  cut.begin(sequence);
  feed(whole, bytes, false);
  feed(cut, bytes, true);
}

int main(int count, char** words) {
  const double seconds = count > 1 ? std::atof(words[1]) : 10;
  const uint64_t seed = count > 2 ? std::strtoull(words[2], nullptr, 10) : std::random_device()();
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  source.seed(seed);
  const auto begin = std::chrono::steady_clock::now();
  uint64_t runs = 0;
  while (std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() < seconds) {
    for (int i = 0; i < 100; i++, runs++) run_once();
  }
  std::printf("%llu answers, none read past its end\n", static_cast<unsigned long long>(runs));
}
