/** How long an event may take, in milliseconds, unless a test says otherwise. */
export const LIMIT = 10_000;

/**
 * Settles as `promise` does, or rejects with what was awaited in vain.
 * @template T
 * @param {Promise<T>} promise
 * @param {string} what the event, for the error
 * @param {number} [limit] milliseconds
 * @returns {Promise<T>}
 */
export function within(promise, what, limit = LIMIT) {
  let timer;
  const tooLate = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} within ${limit} ms`)), limit);
  });
  return Promise.race([promise, tooLate]).finally(() => clearTimeout(timer));
}
