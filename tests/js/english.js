// The words that the tests read: those of the page in English.

import { readFileSync } from "node:fs";

import { use } from "../../voice/static/voice/widget/strings.js";

export const wordsOf = (language) => JSON.parse(readFileSync(new URL(`../../voice/words/${language}.json`, import.meta.url)));

use(wordsOf("en"));
