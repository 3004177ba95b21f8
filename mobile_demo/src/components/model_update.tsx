/** A newer version of a model: told wherever it is used, fetched when the user says so. */
import {useState} from 'preact/hooks';

import type {Listed} from '../backend/backend';
import {followed} from '../backend/client';
import {megabytes, told, useSay} from '../words/words';
import {useApp} from './app_state';

export function ModelUpdate({bundle: {name, update}}: {bundle: Listed}) {
  const {backend, refresh} = useApp();
  const say = useSay();
  const [done, setDone] = useState<number | null>(null);
  const [error, setError] = useState<unknown>(null);
  if (update === null || !backend) return null;
  const fetchIt = () => {
    setDone(0);
    setError(null);
    const onProgress = (done: number, all: number) => setDone(all ? done / all : 1);
    followed((progress) => backend.update(name, progress), onProgress).then(refresh).catch(setError).finally(() => setDone(null));
  };
  return (
    <div class="notice" role="status">
      <p>{say('newer', {name, size: megabytes(update)})}</p>
      {done === null
        ? <button onClick={fetchIt}>{say('update')}</button>
        : <progress max={1} value={done} aria-label={say('update')} />}
      {error !== null && <p role="alert">{told(say, error)}</p>}
    </div>
  );
}
