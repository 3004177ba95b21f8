/** The frame: a navigation bar, the current screen, and the state that all screens share. */
import {useCallback, useLayoutEffect, useState} from 'preact/hooks';

import {type Backend, createWorker, startBackend} from './backend/client';
import type {BundleList} from './backend/types';
import {State} from './components/app_state';
import {AppUpdate} from './components/app_update';
import {WithModel} from './components/model';
import type {Screen} from './components/screen';
import {useChoices} from './components/settings';
import {createTranslator, Translation} from './i18n';
import {SCREENS, TASKS} from './screens/registry';

function currentScreen(): Screen {
  const name = location.hash.replace(/^#\//, '');
  return SCREENS.find((screen) => screen.name === name) ?? SCREENS[0]!;
}

export function App() {
  const [choices, choose] = useChoices();
  const [screen, setScreen] = useState(currentScreen);
  const [backend, setBackend] = useState<Backend | null>(null);
  const [list, setList] = useState<BundleList | null>(null);
  const [requestedBundles] = useState(() => new Set<string>());
  const [starts, setStarts] = useState(0);
  const {engine, precision, accelerator, threads, language} = choices;
  const t = createTranslator(language);

  // All three run before the next event: an early click is heard, and nobody asks a worker that ends.
  useLayoutEffect(() => {
    const onHash = () => setScreen(currentScreen());
    addEventListener('hashchange', onHash);
    return () => removeEventListener('hashchange', onHash);
  }, []);
  useLayoutEffect(() => {
    document.documentElement.lang = language;
    document.title = `${t(screen.name)} · ${t('title')}`;
  }, [language, screen]);
  useLayoutEffect(() => {
    let isCurrent = true;
    const worker = createWorker();
    setBackend(null);
    void startBackend(worker, {engine, precision, accelerator, threads}, TASKS).then(async (started) => {
      const list = await started.list();
      if (!isCurrent) return;
      setList(list);
      setBackend(() => started); // A proxy is a function, which setBackend would call.
    });
    return () => {
      isCurrent = false;
      worker.terminate();
    };
  }, [engine, precision, accelerator, threads, starts]);
  const restart = useCallback(() => setStarts((starts) => starts + 1), []);
  const refresh = useCallback(async () => {
    if (backend) setList(await backend.list());
  }, [backend]);

  const {bundles = null, problems = []} = list ?? {};
  return (
    <Translation.Provider value={t}>
      <State.Provider value={{screens: SCREENS, backend, bundles, problems, choices, choose, requestedBundles, refresh, restart}}>
        <header><h1>{t(screen.name)}</h1></header>
        <main id="main">
          <AppUpdate />
          {screen.task === null ? <screen.Content key={screen.name} /> : <WithModel key={screen.name} screen={screen} />}
        </main>
        <footer class="quiet">{t('onDevice')}</footer>
        <nav aria-label={t('screens')}>
          {SCREENS.map(({name, icon}) => (
            <a key={name} href={`#/${name}`} {...(name === screen.name ? {'aria-current': 'page' as const} : {})}>
              <svg viewBox="0 0 24 24" aria-hidden="true"><path d={icon} /></svg>{t(name)}
            </a>
          ))}
        </nav>
      </State.Provider>
    </Translation.Provider>
  );
}
