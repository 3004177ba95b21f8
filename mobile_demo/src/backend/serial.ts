/** A runtime answers one call at a time. */
import type {Engine, Inputs, Outputs} from '../engine/engine';

/** Returns an engine that starts each call when the one before it has ended. */
export function serializeCalls(engine: Engine): Engine {
  let last: Promise<unknown> = Promise.resolve();
  return {
    run(signature: string, inputs: Inputs): Promise<Outputs> {
      const result = last.then(() => engine.run(signature, inputs));
      last = result.catch(() => undefined);
      return result;
    },
    close: () => void last.then(() => engine.close()),
    memory: () => engine.memory(),
  };
}
