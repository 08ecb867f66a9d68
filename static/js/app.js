// The merchant app's own script. Everything works without it; it saves hands and time.
// A module per concern; this file starts them. Attributes they answer to are listed in each file's header.
import { announce, startAnnounce } from "./announce.js";
import { startDisclose } from "./disclose.js";
import { startForms } from "./forms.js";
import { startKeys } from "./keys.js";
import { startSelect } from "./select.js";

startAnnounce();
startDisclose(announce);
startForms(announce);
startSelect(announce);
startKeys();
