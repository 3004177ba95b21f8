/** The frame: four screens, one shown, and what every screen shares. */
import {useCallback, useLayoutEffect, useState} from 'preact/hooks';

import type {Listing} from './backend/backend';
import {type Backend, started} from './backend/client';
import {State} from './parts/app_state';
import {AppUpdate} from './parts/app_update';
import {useChoices} from './parts/settings';
import {Engine} from './screens/engine';
import {Sentiment} from './screens/sentiment';
import {Translate} from './screens/translate';
import {Write} from './screens/write';
import {sayIn, Words} from './words/words';

const SCREENS = {sentiment: Sentiment, write: Write, translate: Translate, engine: Engine};
type Screen = keyof typeof SCREENS;

function shown(): Screen {
  const name = location.hash.replace(/^#\//, '');
  return Object.hasOwn(SCREENS, name) ? (name as Screen) : 'sentiment';
}

export function App() {
  const [choices, choose] = useChoices();
  const [screen, setScreen] = useState(shown);
  const [backend, setBackend] = useState<Backend | null>(null);
  const [listing, setListing] = useState<Listing | null>(null);
  const say = sayIn(choices.language);
  const [starts, setStarts] = useState(0);
  const {engine, precision, accelerator, threads, language} = choices;

  // Before the next event, all three: who presses at once is heard, and nobody asks a worker that ends.
  useLayoutEffect(() => {
    const onHash = () => setScreen(shown());
    addEventListener('hashchange', onHash);
    return () => removeEventListener('hashchange', onHash);
  }, []);
  useLayoutEffect(() => {
    document.documentElement.lang = language;
    document.title = `${say(screen)} · ${say('title')}`;
  }, [language, screen]);
  useLayoutEffect(() => {
    let isCurrent = true;
    setBackend(null);
    void started({engine, precision, accelerator, threads}).then(async (made) => {
      const found = await made.list();
      if (!isCurrent) return;
      setListing(found);
      setBackend(() => made); // A proxy is a function, too.
    });
    return () => void (isCurrent = false);
  }, [engine, precision, accelerator, threads, starts]);
  const restart = useCallback(() => setStarts((starts) => starts + 1), []);
  const refresh = useCallback(async () => {
    if (backend) setListing(await backend.list());
  }, [backend]);

  const Shown = SCREENS[screen];
  return (
    <Words.Provider value={say}>
      <State.Provider value={{backend, bundles: listing?.bundles ?? null, problems: listing?.problems ?? [], choices, choose, refresh, restart}}>
        <header><h1>{say(screen)}</h1></header>
        <main id="main"><AppUpdate /><Shown /></main>
        <footer class="quiet">{say('onDevice')}</footer>
        <nav aria-label={say('screens')}>
          {(Object.keys(SCREENS) as Screen[]).map((name) => (
            <a key={name} href={`#/${name}`} {...(name === screen ? {'aria-current': 'page' as const} : {})}>
              <Icon name={name} />{say(name)}
            </a>
          ))}
        </nav>
      </State.Provider>
    </Words.Provider>
  );
}

const ICONS: Record<Screen, string> = {
  sentiment: 'M4 5h16v11H10l-5 4v-4H4zM9 9v.5m6-.5v.5M9 12.5q3 2.4 6 0',
  write: 'M4 20l1-4L16.5 4.5l3 3L8 19zM13.5 7.5l3 3',
  translate: 'M3 6h9M7.5 4v2m2.7 0Q9 11 4 14m2-5q2 4 5 5m1 6l4.5-11L21 20m-7.400-3.500h5.800',
  engine: 'M7 7h10v10H7zM10 4v3m4-3v3m-4 10v3m4-3v3M4 10h3m-3 4h3m10-4h3m-3 4h3',
};

function Icon({name}: {name: Screen}) {
  return <svg viewBox="0 0 24 24" aria-hidden="true"><path d={ICONS[name]} /></svg>;
}
