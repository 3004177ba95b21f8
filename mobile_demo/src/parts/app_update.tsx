/** The app itself on this device: kept for use without a network; newer versions are offered. */
import {useEffect, useState} from 'preact/hooks';
import {registerSW} from 'virtual:pwa-register';

import {useSay} from '../words/words';

export function AppUpdate() {
  const say = useSay();
  const [update, setUpdate] = useState<(() => void) | null>(null);
  useEffect(() => {
    const reload = registerSW({onNeedRefresh: () => setUpdate(() => () => void reload(true))});
  }, []);
  if (!update) return null;
  return <p class="notice" role="status">{say('newApp')} <button onClick={update}>{say('reload')}</button></p>;
}
