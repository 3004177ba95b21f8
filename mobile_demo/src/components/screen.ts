/** What a file of `screens/` exports as `screen`. */
import type {ComponentType} from 'preact';

import type {Backend} from '../backend/client';
import type {BundleSummary} from '../backend/types';
import type {Key} from '../i18n';

export interface ModelProps {
  backend: Backend;
  /** Open in the worker. */
  bundle: BundleSummary;
}

interface CommonFields {
  /** The screen's address, `#/NAME`, and the key of its title. */
  name: Key;
  /** Where the screen stands in the navigation bar, from the left; the first is shown at the start. */
  position: number;
  /** A path in a box of 24 x 24. */
  icon: string;
}

/** A screen for the bundles of one task. It shows when one of them is open. */
export interface TaskScreen extends CommonFields {
  /** As the manifests of the bundles name it. */
  task: string;
  /** The key of the word that says what these bundles do. */
  taskLabel: Key;
  Content: ComponentType<ModelProps>;
}

/** A screen that needs no bundle. */
export interface PlainScreen extends CommonFields {
  task: null;
  Content: ComponentType;
}

export type Screen = TaskScreen | PlainScreen;
