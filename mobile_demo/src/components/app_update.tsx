/** Keeps the app itself on this device for use without a network, and offers newer versions. */
import {useEffect, useState} from 'preact/hooks';
import {Workbox} from 'workbox-window';

import {useTranslation} from '../i18n';

export function AppUpdate() {
  const t = useTranslation();
  const [update, setUpdate] = useState<(() => void) | null>(null);
  useEffect(() => {
    if (!import.meta.env.PROD || !('serviceWorker' in navigator)) return;
    const worker = new Workbox('./sw.js', {scope: './'});
    const reload = () => {
      // Only this tab reloads: in others there may be unfinished work.
      worker.addEventListener('controlling', () => location.reload());
      worker.messageSkipWaiting();
    };
    worker.addEventListener('waiting', () => setUpdate(() => reload));
    void worker.register();
  }, []);
  if (!update) return null;
  return <p class="notice" role="status">{t('newApp')} <button onClick={update}>{t('reload')}</button></p>;
}
