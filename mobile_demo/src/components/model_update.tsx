/** Offers a newer version of a model wherever the model is used, and fetches it on request. */
import {useState} from 'preact/hooks';

import {withProgress} from '../backend/client';
import type {BundleSummary} from '../backend/types';
import {formatError, formatMegabytes, useTranslation} from '../i18n';
import {useApp} from './app_state';

export function ModelUpdate({bundle: {name, updateBytes}}: {bundle: BundleSummary}) {
  const {backend, refresh} = useApp();
  const t = useTranslation();
  const [progress, setProgress] = useState<number | null>(null);
  const [error, setError] = useState<unknown>(null);
  if (updateBytes === null || !backend) return null;
  const update = () => {
    setProgress(0);
    setError(null);
    withProgress((onProgress) => backend.update(name, onProgress), (done, total) => setProgress(total ? done / total : 1))
      .then(refresh)
      .catch(setError)
      .finally(() => setProgress(null));
  };
  return (
    <div class="notice" role="status">
      <p>{t('newModel', {name, size: formatMegabytes(updateBytes)})}</p>
      {progress === null
        ? <button onClick={update}>{t('update')}</button>
        : <progress max={1} value={progress} aria-label={t('update')} />}
      {error !== null && <p role="alert">{formatError(t, error)}</p>}
    </div>
  );
}
