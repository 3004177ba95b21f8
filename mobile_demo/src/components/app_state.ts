/** What every screen reads: the worker, the bundles and the user's choices. */
import {createContext} from 'preact';
import {useContext} from 'preact/hooks';

import type {Backend} from '../backend/client';
import type {BundleList, BundleSummary} from '../backend/types';
import type {Screen} from './screen';
import type {Choices} from './settings';

export interface AppState {
  screens: Screen[];
  /** null until the worker has started. */
  backend: Backend | null;
  /** null until they are listed. */
  bundles: BundleSummary[] | null;
  /** The bundles that cannot be used. */
  problems: BundleList['problems'];
  choices: Choices;
  choose: (change: Partial<Choices>) => void;
  /** Bundles that the user has asked for: nobody has to ask again after an error, or in another runtime. */
  requestedBundles: Set<string>;
  /** Lists the bundles again. */
  refresh: () => Promise<void>;
  /** Starts another worker: a runtime that failed to load never loads in the same one. */
  restart: () => void;
}

export const State = createContext<AppState>(null as unknown as AppState);
export const useApp = () => useContext(State);
