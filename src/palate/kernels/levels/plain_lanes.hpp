// Numbers side by side in plain C++, for compilers without vectors as types: what these do, lane by lane. Included
// inside a level's namespace, once for each level, after compiler.hpp, <cstdint> and <cstring>.
#pragma once

template <typename T, int n>
struct Lanes {
  T lane[n];

  using Number = T;
  using Mask = Lanes<int32_t, n>;  // -1 where a comparison holds, else 0
  static constexpr int size = n;

  PALATE_INLINE T& operator[](int at) { return lane[at]; }
  PALATE_INLINE const T& operator[](int at) const { return lane[at]; }

  static PALATE_INLINE Lanes all(T value) {
    Lanes out;
    for (int at = 0; at < n; ++at) out.lane[at] = value;
    return out;
  }

  PALATE_INLINE Lanes operator-() const {
    Lanes out;
    for (int at = 0; at < n; ++at) out.lane[at] = -lane[at];
    return out;
  }

  PALATE_INLINE Lanes operator~() const {
    Lanes out;
    for (int at = 0; at < n; ++at) out.lane[at] = ~lane[at];
    return out;
  }

// An operator of two vectors, of a vector and a number, and of a number and a vector. A lane of the result is
// value(a op b).
#define PALATE_OPERATOR(op, Out, value)                                             \
  friend PALATE_INLINE Out operator op(const Lanes& a, const Lanes& b) {            \
    Out out;                                                                        \
    for (int at = 0; at < n; ++at) out.lane[at] = value(a.lane[at] op b.lane[at]);  \
    return out;                                                                     \
  }                                                                                 \
  friend PALATE_INLINE Out operator op(const Lanes& a, T b) { return a op all(b); } \
  friend PALATE_INLINE Out operator op(T a, const Lanes& b) { return all(a) op b; }
#define PALATE_MASK(holds) -static_cast<int32_t>(holds)
  PALATE_OPERATOR(+, Lanes, static_cast<T>)
  PALATE_OPERATOR(-, Lanes, static_cast<T>)
  PALATE_OPERATOR(*, Lanes, static_cast<T>)
  PALATE_OPERATOR(/, Lanes, static_cast<T>)
  PALATE_OPERATOR(&, Lanes, static_cast<T>)
  PALATE_OPERATOR(|, Lanes, static_cast<T>)
  PALATE_OPERATOR(^, Lanes, static_cast<T>)
  PALATE_OPERATOR(<<, Lanes, static_cast<T>)
  PALATE_OPERATOR(>>, Lanes, static_cast<T>)
  PALATE_OPERATOR(<, Mask, PALATE_MASK)
  PALATE_OPERATOR(>, Mask, PALATE_MASK)
  PALATE_OPERATOR(>=, Mask, PALATE_MASK)
  PALATE_OPERATOR(!=, Mask, PALATE_MASK)
#undef PALATE_MASK
#undef PALATE_OPERATOR

  PALATE_INLINE Lanes& operator+=(const Lanes& other) { return *this = *this + other; }
  PALATE_INLINE Lanes& operator-=(const Lanes& other) { return *this = *this - other; }
  PALATE_INLINE Lanes& operator*=(T number) { return *this = *this * number; }
};

// The same bytes as lanes of another type.
template <typename To, typename From>
PALATE_INLINE To same_bytes(const From& from) {
  static_assert(sizeof(To) == sizeof(From), "vectors of as many bytes");
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

// The same numbers as lanes of another type; floats become integers towards zero.
template <typename To, typename From>
PALATE_INLINE To converted(const From& from) {
  To to;
  for (int at = 0; at < To::size; ++at) to[at] = static_cast<typename To::Number>(from[at]);
  return to;
}
