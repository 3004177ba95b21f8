/** What a person can mend: shown as one sentence, in their language. */
import type {Key, Values} from './words/words';

export class UserError extends Error {
  /** `name` survives the way from the worker to the page, a class does not. */
  override name = 'UserError';

  constructor(
    readonly key: Key,
    readonly values: Values = {},
  ) {
    super(JSON.stringify({key, values}));
  }
}
