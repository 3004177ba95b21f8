/** What the user has entered on each screen. It lasts until the app is closed, whatever screen or runtime comes between. */
import {useState} from 'preact/hooks';

const drafts = new Map<string, unknown>();

export function useDraft<T>(key: string, initial: T): [T, (value: T) => void] {
  const [value, setValue] = useState<T>(() => (drafts.has(key) ? (drafts.get(key) as T) : initial));
  const setDraft = (value: T) => {
    drafts.set(key, value);
    setValue(value);
  };
  return [value, setDraft];
}
