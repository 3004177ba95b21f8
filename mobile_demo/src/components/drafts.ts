/** What one has typed on a screen, until the app is closed: other screens and runtimes leave it as it is. */
import {useState} from 'preact/hooks';

const drafts = new Map<string, unknown>();

export function useDraft<T>(key: string, initial: T): [T, (value: T) => void] {
  const [value, set] = useState<T>(() => (drafts.has(key) ? (drafts.get(key) as T) : initial));
  const keep = (value: T) => {
    drafts.set(key, value);
    set(value);
  };
  return [value, keep];
}
