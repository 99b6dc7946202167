/** `expectType<T>()(value)` compiles when the type of `value` is T, no wider and no narrower. */
export const expectType =
  <Expected>() =>
  <Found>(
    _value: [Found] extends [Expected] ? ([Expected] extends [Found] ? Found : never) : never,
  ): void => {};
