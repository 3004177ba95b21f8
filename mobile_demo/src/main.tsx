import {render} from 'preact';

import {App} from './app';
import './style.css';

// The browser would open a file that is dropped beside its field, instead of the app.
for (const name of ['dragover', 'drop']) addEventListener(name, (event) => event.preventDefault());
render(<App />, document.getElementById('app')!);
