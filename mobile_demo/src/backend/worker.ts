/** Exposes a `Backend` to the page. */
import {expose} from 'comlink';

import {Backend} from './backend';

expose(Backend);
