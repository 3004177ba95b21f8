import {render} from 'preact';

import {App} from './app';
import './style.css';

// A file that is dropped beside its place would be opened instead of the app.
for (const name of ['dragover', 'drop']) addEventListener(name, (event) => event.preventDefault());
render(<App />, document.getElementById('app')!);
