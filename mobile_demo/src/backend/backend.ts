/** What runs in the worker: bundles are fetched, opened and called here, never on the page. */
import type {Engine, Files, Open, Options} from '../engine/engine';
import {type Bundle, type Progress, Store} from '../bundle/store';
import {read} from '../bundle/folder';
import {type EngineName, type Manifest, needed, type Variant, variants} from '../bundle/manifest';
import {type Told, tellable, UserError} from '../errors';
import {classify, drivers, type Verdict, type Word} from '../tasks/classify';
import {generate, longest, type Sampling} from '../tasks/generate';
import type {Session} from '../tasks/session';
import {attention, type Sentence, sentences, translate} from '../tasks/translate';
import {engineToFetch, keepEngine} from './engine_cache';
import {measured, type Measured} from './benchmark';
import {serial} from './serial';

export interface Settings {
  engine: EngineName;
  /** null takes what the bundle has. */
  precision: string | null;
  accelerator: Options['accelerator'];
  threads: number;
}

/** A bundle as the page knows it. */
export interface Listed {
  name: string;
  task: Manifest['task'];
  labels: string[];
  languages: string[];
  longest: number;
  parameters: number;
  backbone: string;
  variants: Variant[];
  isAdded: boolean;
  /** On this device. */
  isKept: boolean;
  /** Bytes that a newer version has to fetch; null if there is none. */
  update: number | null;
}

export interface Listing {
  bundles: Listed[];
  /** What is the matter with bundles that are not among them. */
  problems: (Told & {name: string; isKept: boolean})[];
}

interface Opened {
  session: Session;
  loadMs: number;
}

const SHOWN_EVERY_MS = 100;

export class Backend {
  private readonly store: Store;
  private readonly opened = new Map<string, Promise<Opened>>();
  private known = new Map<string, Bundle>(); // As last listed: the network may be gone since.
  private latest = 0; // Texts to classify: of older ones the words are no longer asked for.
  private isStopped = false;

  constructor(
    private readonly base: string,
    private readonly settings: Settings,
  ) {
    this.store = new Store(new URL('models/', base));
  }

  async list(): Promise<Listing> {
    const {bundles, problems} = await this.store.list();
    this.known = new Map(bundles.map((bundle) => [bundle.name, bundle]));
    return {
      bundles: bundles.map(listed),
      problems: problems.map(({name, error, isKept}) => ({name, isKept, ...tellable(error)})),
    };
  }

  /** Which of a bundle's variants is used. */
  private variant(manifest: Manifest, name: string): Variant {
    const all = variants(manifest);
    const ofEngine = all.filter(({engine}) => engine === this.settings.engine);
    const found = ofEngine.find(({precision}) => precision === this.settings.precision) ?? ofEngine[0];
    if (!found) throw new UserError('noEngine', {name, engine: this.settings.engine});
    return found;
  }

  /** Bytes to fetch before a bundle can be used, those of the runtime included. */
  async toFetch(name: string): Promise<number> {
    const bundle = await this.bundle(name);
    const {format, engine} = this.variant(bundle.manifest, name);
    const ofModel = await this.store.toFetch(bundle, needed(bundle.manifest, format));
    const runtime = await runtimeOf(engine);
    return ofModel + (await engineToFetch(await runtime.files(this.options)));
  }

  private get options(): Options {
    return {...this.settings, engines: new URL('engines/', this.base).href};
  }

  /** Fetches and opens a bundle, if that is not done yet. */
  async load(name: string, progress: Progress): Promise<void> {
    const opened = this.opened.get(name) ?? this.open(name, progress);
    this.opened.set(name, opened);
    try {
      await opened;
    } catch (error) {
      this.opened.delete(name); // Another try begins anew.
      throw error;
    }
  }

  private async open(name: string, progress: Progress): Promise<Opened> {
    const bundle = await this.bundle(name);
    const {format, engine} = this.variant(bundle.manifest, name);
    const contents = await this.store.files(bundle, needed(bundle.manifest, format), progress);
    const runtime = await runtimeOf(engine);
    await keepEngine(engine, await runtime.files(this.options), progress);
    const start = performance.now();
    let made: Engine;
    try {
      made = await runtime.open(bundle.manifest, format, contents, this.options);
    } catch (error) {
      throw new UserError('cannotOpen', {name, engine, reason: String(error)});
    }
    return {session: {manifest: bundle.manifest, engine: serial(made)}, loadMs: performance.now() - start};
  }

  private async bundle(name: string): Promise<Bundle> {
    if (!this.known.has(name)) await this.list();
    const found = this.known.get(name);
    if (!found) throw new UserError('noBundle', {name});
    return found;
  }

  private async session(name: string): Promise<Session> {
    await this.load(name, () => undefined);
    return (await this.opened.get(name)!).session;
  }

  /** The class of a text; then, as it is found, what the words do for the verdict. */
  async classify(name: string, text: string, onWords: (words: Word[]) => void): Promise<Verdict> {
    const session = await this.session(name);
    const mine = ++this.latest;
    const isStale = () => mine !== this.latest;
    const verdict = await classify(session, text);
    void this.explain(session, text, verdict, isStale, onWords);
    return verdict;
  }

  private async explain(
    session: Session,
    text: string,
    verdict: Verdict,
    isStale: () => boolean,
    onWords: (words: Word[]) => void,
  ): Promise<void> {
    let found: Word[] = [];
    let shown = performance.now();
    for await (const words of drivers(session, text, verdict, isStale)) {
      found = words;
      await breath();
      if (isStale()) return;
      if (performance.now() - shown < SHOWN_EVERY_MS) continue;
      onWords(found);
      shown = performance.now();
    }
    if (!isStale()) onWords(found);
  }

  /** Nobody asks for the words of a text, or for more sentences, any longer. */
  rest(): void {
    this.latest++;
  }

  /**
   * Continues `prompt`; gives each piece and how many tokens there are, until it ends or `stop`.
   * Returns how many bytes at the beginning of the prompt were not read.
   */
  async generate(name: string, prompt: string, sampling: Sampling, onPiece: (text: string, tokens: number) => void): Promise<number> {
    const session = await this.session(name);
    const decoder = new TextDecoder();
    let tokens = 0, unread = 0;
    this.isStopped = false;
    for await (const piece of generate(session, prompt, sampling)) {
      tokens += piece.tokens;
      unread += piece.unread;
      onPiece(decoder.decode(piece.bytes, {stream: true}), tokens);
      await breath();
      if (this.isStopped) break;
    }
    onPiece(decoder.decode(), tokens);
    return unread;
  }

  stop(): void {
    this.isStopped = true;
  }

  /** Translates `most` sentences at most, one after another; gives each as it is found. Returns how many are left. */
  async translate(name: string, text: string, most: number, onSentence: (sentence: Sentence) => void): Promise<number> {
    const session = await this.session(name);
    const mine = ++this.latest;
    const all = sentences(text, session.manifest.languages?.[0] ?? 'en');
    for (const source of all.slice(0, most)) {
      await breath();
      if (mine !== this.latest) break;
      onSentence(await translate(session, source));
    }
    return Math.max(0, all.length - most);
  }

  async attention(name: string, source: string, translation: string): Promise<number[][]> {
    return attention(await this.session(name), source, translation);
  }

  async benchmark(name: string): Promise<Measured> {
    const session = await this.session(name);
    const {loadMs} = await this.opened.get(name)!;
    const {format, precision, bytes} = this.variant(session.manifest, name);
    return {...this.settings, ...(await measured(session, longest(session))), name, format, precision, bytes, loadMs};
  }

  async update(name: string, progress: Progress): Promise<void> {
    await this.store.update(await this.bundle(name), progress);
    await this.forget(name);
  }

  /** Keeps a bundle of the user's own; returns its name. */
  async add(files: File[]): Promise<string> {
    const {name, manifest, files: contents} = await read(files);
    await this.store.add(name, manifest, contents);
    await this.forget(name);
    return name;
  }

  async remove(name: string): Promise<void> {
    await this.forget(name);
    await this.store.remove(name);
  }

  /** What is open of a bundle, and known: it has changed. */
  private async forget(name: string): Promise<void> {
    const opened = await this.opened.get(name)?.catch(() => null);
    opened?.session.engine.close();
    this.opened.delete(name);
    this.known.delete(name);
  }
}

function listed({name, manifest, isAdded, isKept, update}: Bundle): Listed {
  return {
    name,
    task: manifest.task,
    labels: manifest.labels,
    languages: manifest.languages ?? [],
    longest: manifest.limits['N'] ?? 0,
    parameters: manifest.parameters,
    backbone: manifest.backbone,
    variants: variants(manifest),
    isAdded,
    isKept,
    update: update?.bytes ?? null,
  };
}

function runtimeOf(engine: EngineName): Promise<{open: Open; files: Files}> {
  return engine === 'litert' ? import('../engine/litert') : import('../engine/onnx');
}

/** Lets messages in: a runtime that answers at once would never let a loop be stopped. */
function breath(): Promise<void> {
  return new Promise((resolve) => {
    const {port1, port2} = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
