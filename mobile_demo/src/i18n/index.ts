/** The texts of the app, in the user's language. */
import {createContext} from 'preact';
import {useContext} from 'preact/hooks';

import {type Message, serializeError, type Values} from '../errors';
import {en, type Key} from './en';
import {zh} from './zh';

export type {Key};
export type Language = 'en' | 'zh';
/** Returns the text of a key, with the values filled in. */
export type Translator = (key: Key, values?: Values) => string;

export const LANGUAGES: Record<Language, string> = {en: 'English', zh: '中文'};
const TEXTS: Record<Language, Record<Key, string>> = {en, zh};

/** Returns the language to start with, from the browser's settings. */
export function preferredLanguage(): Language {
  return navigator.language.startsWith('zh') ? 'zh' : 'en';
}

export function createTranslator(language: Language): Translator {
  const list = new Intl.ListFormat(language);
  const format = (value: Values[string] | undefined) => (Array.isArray(value) ? list.format(value) : String(value ?? ''));
  return (key, values = {}) => TEXTS[language][key].replace(/\{(\w+)\}/g, (_, name) => format(values[name]));
}

export const Translation = createContext<Translator>(createTranslator('en'));
export const useTranslation = () => useContext(Translation);

/** Returns an error as one sentence. */
export function formatError(t: Translator, error: unknown): string {
  return formatMessage(t, serializeError(error));
}

/** Returns a message as one sentence, with runtimes named as the app names them. */
export function formatMessage(t: Translator, {key, values}: Message): string {
  const {engine} = values;
  return t(key, engine === 'litert' || engine === 'onnx' ? {...values, engine: t(engine)} : values);
}

/** Returns the name of the language with the code `code`, or the code if it is none. */
export function languageName(language: Language, code = ''): string {
  try {
    return new Intl.DisplayNames(language, {type: 'language'}).of(code) ?? code;
  } catch {
    return code; // Not a language code.
  }
}

export function formatMegabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
