/** The user's choices, kept on this device. */
import {useState} from 'preact/hooks';

import type {Settings} from '../backend/types';
import {type Language, LANGUAGES, preferredLanguage} from '../i18n';

export interface Choices extends Settings {
  language: Language;
  /** The bundle that the screen of a task uses. */
  bundleByTask: Record<string, string>;
}

// Other paths of the same host may hold other apps, with choices of their own.
const KEY = `choices ${new URL(document.baseURI).pathname}`;

/** Whether threads can be had: browsers share memory only with a page that is isolated. */
export const canUseThreads = globalThis.crossOriginIsolated === true;

export function maxThreads(): number {
  return canUseThreads ? Math.min(navigator.hardwareConcurrency || 1, 8) : 1;
}

function loadChoices(): Choices {
  const defaults: Choices = {
    engine: 'litert',
    precision: null,
    accelerator: 'cpu',
    threads: 1,
    language: preferredLanguage(),
    bundleByTask: {},
  };
  try {
    const stored = JSON.parse(localStorage.getItem(KEY) ?? '{}');
    const choices: Choices = {...defaults, ...stored};
    const {engine, accelerator, language, threads} = choices;
    const bundleByTask = stored.bundleByTask ?? stored.chosen; // `chosen` is its name in choices stored earlier.
    return {
      ...choices,
      engine: ['litert', 'onnx'].includes(engine) ? engine : defaults.engine,
      accelerator: ['cpu', 'webgpu'].includes(accelerator) ? accelerator : defaults.accelerator,
      language: Object.hasOwn(LANGUAGES, language) ? language : defaults.language,
      bundleByTask: typeof bundleByTask === 'object' && bundleByTask !== null ? bundleByTask : {},
      threads: Math.min(Math.max(1, Math.floor(Number(threads)) || 1), maxThreads()),
    };
  } catch {
    return defaults;
  }
}

export function useChoices(): [Choices, (change: Partial<Choices>) => void] {
  const [choices, setChoices] = useState(loadChoices);
  const choose = (change: Partial<Choices>) =>
    setChoices((previous) => {
      const changed = {...previous, ...change};
      localStorage.setItem(KEY, JSON.stringify(changed));
      return changed;
    });
  return [choices, choose];
}
