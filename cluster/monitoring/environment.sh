# Source this before a search, or before `ray start`: Ray then serves its metrics, and its dashboard
# shows them in the tab Metrics. start.py runs the programs behind it.
#
# Ray serves metrics without a token: any user of this machine can read them.
export RAY_enable_metrics_collection=1
export RAY_PROMETHEUS_HOST=${RAY_PROMETHEUS_HOST:-http://127.0.0.1:9090}
export RAY_GRAFANA_HOST=${RAY_GRAFANA_HOST:-http://127.0.0.1:3000}
export RAY_METRICS_GRAFANA_DASHBOARD_OUTPUT_DIR=${RAY_METRICS_GRAFANA_DASHBOARD_OUTPUT_DIR:-$HOME/.cache/adaptune/monitoring/ray-boards}
