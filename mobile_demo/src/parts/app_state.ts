/** What every screen reads: the worker, the bundles there are, and the user's choices. */
import {createContext} from 'preact';
import {useContext} from 'preact/hooks';

import type {Listed} from '../backend/backend';
import type {Backend} from '../backend/client';
import type {Choices} from './settings';

export interface AppState {
  /** null until the worker has started. */
  backend: Backend | null;
  bundles: Listed[] | null;
  choices: Choices;
  choose: (change: Partial<Choices>) => void;
  /** Asks again which bundles there are. */
  refresh: () => Promise<void>;
}

export const State = createContext<AppState>(null as unknown as AppState);
export const useApp = () => useContext(State);
