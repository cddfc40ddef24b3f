/** A change that leaves a member out. */
export function without(name) {
  return ({ [name]: _, ...rest }) => rest;
}
