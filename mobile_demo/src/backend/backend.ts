/** The worker: it fetches, opens and runs bundles, so that the page never waits. It names no task. */
import {readBundle} from '../bundle/folder';
import {runnableVariants} from '../bundle/manifest';
import type {EngineName, Manifest, RunnableVariant} from '../bundle/schema';
import {type Bundle, type Progress, Store} from '../bundle/store';
import type {Data, Engine, EngineOptions, LocateFiles, OpenEngine} from '../engine/engine';
import {serializeError, UserError} from '../errors';
import {runSignature, type Session, type Values} from '../inference/session';
import {measureTask} from './benchmark';
import {keepEngine, missingEngineBytes} from './engine_cache';
import {serializeCalls} from './serial';
import {taskModule} from './tasks';
import type {BenchmarkResult, BundleList, BundleSummary, Settings} from './types';

interface OpenedBundle {
  session: Session;
  loadMs: number;
}

export class Backend {
  private readonly store: Store;
  private readonly opened = new Map<string, Promise<OpenedBundle>>();
  private listed = new Map<string, Bundle>(); // Since the last list() the network may be gone.
  private pending = new AbortController();

  /** `tasks` are those that have a screen. */
  constructor(
    private readonly base: string,
    private readonly settings: Settings,
    private readonly tasks: string[],
  ) {
    this.store = new Store(new URL('models/', base));
  }

  async list(): Promise<BundleList> {
    const {bundles, problems} = await this.store.list();
    const usable = bundles.filter(({name, manifest, isOnDevice, update}) => {
      try {
        this.assertSupported(manifest, name);
        if (update) this.assertSupported(update.manifest, name);
        return true;
      } catch (error) {
        problems.push({name, error, isOnDevice});
        return false;
      }
    });
    this.listed = new Map(usable.map((bundle) => [bundle.name, bundle]));
    return {
      bundles: usable.map(summarize),
      problems: problems.map(({name, error, isOnDevice}) => ({name, isOnDevice, ...serializeError(error)})),
    };
  }

  /** Throws a `UserError` if the app has no screen for a bundle, or the bundle lacks what the screen calls. */
  private assertSupported({task, signatures}: Manifest, name: string): void {
    if (!this.tasks.includes(task)) throw new UserError('noScreen', {name, task, tasks: this.tasks});
    const missing = taskModule(task).signatures.find((signature) => !Object.hasOwn(signatures, signature));
    if (missing) throw new UserError('noSignature', {name, signature: missing});
  }

  /** Returns the bytes to fetch before a bundle can be used, with those of the runtime. */
  async missingBytes(name: string): Promise<number> {
    const bundle = await this.findBundle(name);
    const {engine, files} = this.selectVariant(bundle.manifest, name);
    const ofModel = await this.store.missingBytes(bundle.manifest, files);
    const runtime = await importRuntime(engine);
    return ofModel + (await missingEngineBytes(await runtime.locateFiles(this.engineOptions)));
  }

  /** Fetches and opens a bundle, unless it is open. */
  async load(name: string, onProgress: Progress = () => undefined): Promise<void> {
    const opened = this.opened.get(name) ?? this.open(name, onProgress);
    this.opened.set(name, opened);
    try {
      await opened;
    } catch (error) {
      this.opened.delete(name); // The next call tries again.
      throw error;
    }
  }

  private async open(name: string, onProgress: Progress): Promise<OpenedBundle> {
    const {manifest, ...bundle} = await this.findBundle(name);
    const variant = this.selectVariant(manifest, name);
    const contents = await this.store.readFiles({...bundle, manifest}, variant.files, onProgress);
    const runtime = await importRuntime(variant.engine);
    await keepEngine(variant.engine, await runtime.locateFiles(this.engineOptions), onProgress);
    const start = performance.now();
    let engine: Engine;
    try {
      engine = await runtime.openEngine(manifest, variant, contents, this.engineOptions);
    } catch (error) {
      throw new UserError('cannotOpen', {name, engine: variant.engine, reason: String(error)});
    }
    return {session: {manifest, engine: serializeCalls(engine), tokensPerCall: 1}, loadMs: performance.now() - start};
  }

  private selectVariant(manifest: Manifest, name: string): RunnableVariant {
    const variants = runnableVariants(manifest).filter(({engine}) => engine === this.settings.engine);
    const variant = variants.find(({precision}) => precision === this.settings.precision) ?? variants[0];
    if (!variant) throw new UserError('noEngine', {name, engine: this.settings.engine});
    return variant;
  }

  private get engineOptions(): EngineOptions {
    return {...this.settings, engines: new URL('engines/', this.base).href};
  }

  private async findBundle(name: string): Promise<Bundle> {
    if (!this.listed.has(name)) await this.list();
    const bundle = this.listed.get(name);
    if (!bundle) throw new UserError('noBundle', {name});
    return bundle;
  }

  private async openSession(name: string): Promise<Session> {
    await this.load(name);
    return (await this.opened.get(name)!).session;
  }

  /** Runs a signature of a bundle, the main one by default; see `runSignature`. */
  async run(name: string, values: Values, signature?: string): Promise<Record<string, Data>> {
    const session = await this.openSession(name);
    return runSignature(session, signature ?? session.manifest.entry.signature, values);
  }

  /** Calls a function of the bundle's task; see `taskFunctions` in client.ts. */
  async call(name: string, functionName: string, ...parameters: unknown[]): Promise<unknown> {
    const {signal} = this.pending; // Before anything is awaited: cancelPending() may come meanwhile.
    const session = await this.openSession(name);
    const {functions} = taskModule(session.manifest.task);
    return functions[functionName]!({session, signal}, ...(parameters as never[]));
  }

  /** Ends the calls so far that report results one by one. */
  cancelPending(): void {
    this.pending.abort();
    this.pending = new AbortController();
  }

  async benchmark(name: string): Promise<BenchmarkResult> {
    const session = await this.openSession(name);
    const {loadMs} = await this.opened.get(name)!;
    const {format, precision, bytes} = this.selectVariant(session.manifest, name);
    const figures = await measureTask(taskModule(session.manifest.task), session);
    return {...this.settings, ...figures, name, format, precision, bytes, loadMs};
  }

  /** Takes the newer version of a bundle. */
  async update(name: string, onProgress: Progress): Promise<void> {
    await this.store.update(await this.findBundle(name), onProgress);
    await this.forget(name);
  }

  /** Adds a bundle of the user's to this device; returns its name. */
  async add(files: File[]): Promise<string> {
    const {name, manifest, files: contents} = await readBundle(files, (manifest, name) => this.assertSupported(manifest, name));
    await this.store.add(name, manifest, contents);
    await this.forget(name);
    return name;
  }

  /** Removes a bundle from this device. */
  async remove(name: string): Promise<void> {
    await this.forget(name);
    await this.store.remove(name);
  }

  /** Closes a bundle that has changed. */
  private async forget(name: string): Promise<void> {
    const opened = await this.opened.get(name)?.catch(() => null);
    opened?.session.engine.close();
    this.opened.delete(name);
    this.listed.delete(name);
  }
}

function summarize({name, manifest, isAdded, isOnDevice, update}: Bundle): BundleSummary {
  const {task, labels, languages = [], limits, entry, parameters, backbone} = manifest;
  return {
    name, task, labels, languages, limits, parameters, backbone, isAdded, isOnDevice,
    defaults: entry.defaults,
    variants: runnableVariants(manifest).map(({engine, precision, bytes}) => ({engine, precision, bytes})),
    updateBytes: update?.bytes ?? null,
  };
}

function importRuntime(engine: EngineName): Promise<{openEngine: OpenEngine; locateFiles: LocateFiles}> {
  return engine === 'litert' ? import('../engine/litert') : import('../engine/onnx');
}
