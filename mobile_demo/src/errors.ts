/** What a person can mend: shown as one sentence, in their language. */
import type {Key, Values} from './words/words';

/** The sentence, before it is in a language. */
export interface Told {
  key: Key;
  values: Values;
}

export class UserError extends Error {
  /** `name` survives the way from the worker to the page, a class does not. */
  override name = 'UserError';

  constructor(key: Key, values: Values = {}) {
    super(JSON.stringify({key, values} satisfies Told));
  }
}

/** What an error says: ours its own sentence, any other what the system calls it. */
export function tellable(error: unknown): Told {
  if (error instanceof Error && error.name === 'UserError') return JSON.parse(error.message) as Told;
  return {key: 'failed', values: {reason: error instanceof Error ? error.message : String(error)}};
}
