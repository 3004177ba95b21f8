/** What every screen reads: the worker, the bundles there are, and the user's choices. */
import {createContext} from 'preact';
import {useContext} from 'preact/hooks';

import type {Listed, Listing} from '../backend/backend';
import type {Backend} from '../backend/client';
import type {Choices} from './settings';

export interface AppState {
  /** null until the worker has started. */
  backend: Backend | null;
  /** null until they are known. */
  bundles: Listed[] | null;
  /** What is the matter with bundles that are not among them. */
  problems: Listing['problems'];
  choices: Choices;
  choose: (change: Partial<Choices>) => void;
  /** Asks again which bundles there are. */
  refresh: () => Promise<void>;
  /** Begins with another worker: what a runtime has failed to load once it never loads again. */
  restart: () => void;
}

export const State = createContext<AppState>(null as unknown as AppState);
export const useApp = () => useContext(State);
