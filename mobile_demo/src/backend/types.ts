/** What the page and the worker tell each other. */
import type {EngineName, RunnableVariant} from '../bundle/schema';
import type {EngineOptions} from '../engine/engine';
import type {Message} from '../errors';

export interface Settings {
  engine: EngineName;
  /** null takes the first that a bundle has. */
  precision: string | null;
  accelerator: EngineOptions['accelerator'];
  threads: number;
}

/** A bundle as the page knows it. */
export interface BundleSummary {
  name: string;
  task: string;
  labels: string[];
  languages: string[];
  /** The largest sizes, by name. */
  limits: Record<string, number>;
  /** What the controls of a screen start with, by input. */
  defaults: Record<string, number>;
  parameters: number;
  backbone: string;
  variants: Pick<RunnableVariant, 'engine' | 'precision' | 'bytes'>[];
  /** Added by the user, not served beside the app. */
  isAdded: boolean;
  isOnDevice: boolean;
  /** Bytes that a newer version has to fetch; null if there is no newer version. */
  updateBytes: number | null;
}

export interface BundleList {
  bundles: BundleSummary[];
  /** The bundles that cannot be used, each with the reason. */
  problems: (Message & {name: string; isOnDevice: boolean})[];
}

export interface BenchmarkResult extends Settings {
  name: string;
  format: string;
  precision: string;
  bytes: number;
  /** Milliseconds to open the bundle. */
  loadMs: number;
  /** Milliseconds to the first answer, or token, after opening. */
  firstMs: number;
  /** Median of the calls after it, each a whole answer. */
  medianMs: number;
  /** Tokens of an answer, and their number a second; null if no text is written. */
  tokens: number | null;
  tokensPerSecond: number | null;
  /** Bytes of the runtime's memory; null if the runtime doesn't report them. */
  memory: number | null;
}
