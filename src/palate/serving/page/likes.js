// What requests say of the user: the ratings that count, or the items liked.

/** {likes: {item: rating}} or {session: [item]}, as the API takes them. */
export function likesOf(state) {
  const counted = state.counted;
  if (state.model.takes === "choices") return { session: counted.map(({ item }) => item).reverse() };
  return { likes: Object.fromEntries(counted.map(({ item, value }) => [item, value])) };
}
