/** The worker: a `Backend` for the page. */
import {expose} from 'comlink';

import {Backend} from './backend';

expose(Backend);
