/** What the app says, in the user's language. */
import {createContext} from 'preact';
import {useContext} from 'preact/hooks';

import {type Told, tellable} from '../errors';
import {en} from './en';
import {zh} from './zh';

export type Key = keyof typeof en;
export type Values = Record<string, string | number>;
export type Language = 'en' | 'zh';
export type Say = (key: Key, values?: Values) => string;

export const LANGUAGES: Record<Language, string> = {en: 'English', zh: '中文'};
const ALL: Record<Language, Record<Key, string>> = {en, zh};

export function preferred(): Language {
  return navigator.language.startsWith('zh') ? 'zh' : 'en';
}

export function sayIn(language: Language): Say {
  return (key, values = {}) => ALL[language][key].replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ''));
}

export const Words = createContext<Say>(sayIn('en'));
export const useSay = () => useContext(Words);

/** An error in one sentence. */
export function told(say: Say, error: unknown): string {
  return toldOf(say, tellable(error));
}

/** A sentence with the names of runtimes as the app shows them. */
export function toldOf(say: Say, {key, values}: Told): string {
  const {engine} = values;
  return say(key, engine === 'litert' || engine === 'onnx' ? {...values, engine: say(engine)} : values);
}

/** The name of a language, or its code where it has none here. */
export function languageName(say: Say, code: string | undefined): string {
  return code !== undefined && code in en ? say(code as Key) : (code ?? '');
}

/** A size as people say it. */
export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
