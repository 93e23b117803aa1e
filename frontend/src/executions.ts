/** The elements of executions: to start one, to watch it, and to look back. */

import "./elements/amount_elements";
import "./elements/decision_said";
import "./elements/execute_flow";
import "./elements/execution_graph";
import "./elements/execution_record";
import "./elements/execution_watch";
import "./elements/history_filters";
import "./elements/json_view";
import "./elements/rerun_form";
import "./elements/running_now";
import "./elements/time_histogram";
