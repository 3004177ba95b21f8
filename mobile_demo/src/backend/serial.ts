/** A runtime answers one call at a time. */
import type {Engine, Inputs, Outputs} from '../engine/engine';

export function serial(engine: Engine): Engine {
  let last: Promise<unknown> = Promise.resolve();
  return {
    run(signature: string, inputs: Inputs): Promise<Outputs> {
      const mine = last.then(() => engine.run(signature, inputs));
      last = mine.catch(() => undefined);
      return mine;
    },
    close: () => void last.then(() => engine.close()),
    memory: () => engine.memory(),
  };
}
