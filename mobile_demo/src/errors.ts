/** Errors that a user can act on. The page shows each as one sentence in the user's language. */
import type {Key} from './i18n/en';

export type Values = Record<string, string | number | string[]>;

/** A sentence that has no language yet. */
export interface Message {
  key: Key;
  values: Values;
}

export class UserError extends Error {
  /** Survives the way from the worker to the page; a class doesn't. */
  override name = 'UserError';

  constructor(key: Key, values: Values = {}) {
    super(JSON.stringify({key, values} satisfies Message));
  }
}

/** Returns the sentence of a `UserError`; for any other error, a sentence that quotes the system's reason. */
export function serializeError(error: unknown): Message {
  if (error instanceof Error && error.name === 'UserError') return JSON.parse(error.message) as Message;
  return {key: 'failed', values: {reason: error instanceof Error ? error.message : String(error)}};
}
