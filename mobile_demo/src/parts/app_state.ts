/** What every screen reads: the worker, the bundles there are, and the user's choices. */
import {createContext} from 'preact';
import {useContext} from 'preact/hooks';

import type {Listed} from '../backend/backend';
import type {Backend} from '../backend/client';
import type {Told} from '../errors';
import type {Choices} from './settings';

export interface AppState {
  /** null until the worker has started. */
  backend: Backend | null;
  /** null until they are known. */
  bundles: Listed[] | null;
  /** What is the matter with bundles that are not among them. */
  problems: Told[];
  choices: Choices;
  choose: (change: Partial<Choices>) => void;
  /** Asks again which bundles there are. */
  refresh: () => Promise<void>;
}

export const State = createContext<AppState>(null as unknown as AppState);
export const useApp = () => useContext(State);
