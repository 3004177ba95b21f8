/** The app itself on this device: kept for use without a network; newer versions are offered. */
import {useEffect, useState} from 'preact/hooks';
import {Workbox} from 'workbox-window';

import {useSay} from '../words/words';

export function AppUpdate() {
  const say = useSay();
  const [update, setUpdate] = useState<(() => void) | null>(null);
  useEffect(() => {
    if (!import.meta.env.PROD || !('serviceWorker' in navigator)) return;
    const worker = new Workbox('./sw.js', {scope: './'});
    const reload = () => {
      // Only the tab in which it was asked for: others may have something unfinished.
      worker.addEventListener('controlling', () => location.reload());
      worker.messageSkipWaiting();
    };
    worker.addEventListener('waiting', () => setUpdate(() => reload));
    void worker.register();
  }, []);
  if (!update) return null;
  return <p class="notice" role="status">{say('newApp')} <button onClick={update}>{say('reload')}</button></p>;
}
