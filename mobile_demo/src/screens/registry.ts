/** The screens: every file of this folder that exports a `screen`. The app knows no other list of tasks. */
import type {Screen} from '../components/screen';

const modules = import.meta.glob<Screen>('./*.tsx', {import: 'screen', eager: true});

export const SCREENS = Object.values(modules).sort((a, b) => a.position - b.position);
export const TASKS = SCREENS.flatMap(({task}) => task ?? []);
