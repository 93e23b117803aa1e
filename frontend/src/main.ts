/** What every page loads: the styles, htmx, and the elements that pages are made of. */

import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/layout.css";
import "./styles/controls.css";
import "./styles/parts.css";
import "./styles/forms.css";
import "./styles/board.css";
import "./styles/designs.css";
import "./styles/execution_graph.css";
import "./styles/executions.css";
import "./styles/history.css";
import "./elements/alert_list";
import "./elements/call_panel";
import "./elements/configure_form";
import "./elements/copy_button";
import "./elements/delete_deployment";
import "./elements/deploy_form";
import "./elements/design_actions";
import "./elements/key_list";
import "./elements/layout_choice";
import "./elements/live_deployments";
import "./elements/relative_time";
import "./elements/schedule_actions";
import "./elements/schema_form";
import "./elements/tab_set";
import "./elements/theme_choice";
import "./schedule/schedule_editor";
import "./executions";
import { setUpDialogs } from "./elements/dialogs";
import { setUpHtmx } from "./elements/htmx";
import { setUpRowLinks } from "./elements/row_links";

setUpHtmx();
setUpDialogs();
setUpRowLinks();
