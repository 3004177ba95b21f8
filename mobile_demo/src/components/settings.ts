/** What the user chose, kept on this device. */
import {useState} from 'preact/hooks';

import type {Settings} from '../backend/backend';
import {type Language, LANGUAGES, preferred} from '../words/words';

export interface Choices extends Settings {
  language: Language;
  /** By screen, the bundle it uses. */
  chosen: Record<string, string>;
}

// Apps below other paths of the same host have their own.
const KEY = `choices ${new URL(document.baseURI).pathname}`;

/** Whether threads can be had: browsers share memory only where a page is isolated. */
export const canThread = globalThis.crossOriginIsolated === true;

export function mostThreads(): number {
  return canThread ? Math.min(navigator.hardwareConcurrency || 1, 8) : 1;
}

function kept(): Choices {
  const standard: Choices = {
    engine: 'litert',
    precision: null,
    accelerator: 'cpu',
    threads: 1,
    language: preferred(),
    chosen: {},
  };
  try {
    const found: Choices = {...standard, ...JSON.parse(localStorage.getItem(KEY) ?? '{}')};
    const {engine, accelerator, language, chosen, threads} = found;
    return {
      ...found,
      engine: ['litert', 'onnx'].includes(engine) ? engine : standard.engine,
      accelerator: ['cpu', 'webgpu'].includes(accelerator) ? accelerator : standard.accelerator,
      language: Object.hasOwn(LANGUAGES, language) ? language : standard.language,
      chosen: typeof chosen === 'object' && chosen !== null ? chosen : {},
      threads: Math.min(Math.max(1, Math.floor(Number(threads)) || 1), mostThreads()),
    };
  } catch {
    return standard;
  }
}

export function useChoices(): [Choices, (change: Partial<Choices>) => void] {
  const [choices, set] = useState(kept);
  const change = (change: Partial<Choices>) =>
    set((old) => {
      const changed = {...old, ...change};
      localStorage.setItem(KEY, JSON.stringify(changed));
      return changed;
    });
  return [choices, change];
}
