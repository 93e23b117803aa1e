/** What every page loads: the styles, htmx, and the elements that pages are made of. */

import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/layout.css";
import "./styles/controls.css";
import "./styles/parts.css";
import "./styles/forms.css";
import "./elements/copy_button";
import "./elements/relative_time";
import "./elements/schema_form";
import "./elements/theme_choice";
import { setUpDialogs } from "./elements/dialogs";
import { setUpHtmx } from "./elements/htmx";

setUpHtmx();
setUpDialogs();
