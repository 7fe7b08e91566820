"""What people have written for the scene: the Rollouts, Services, router and AnalysisTemplates, as they stand in Git."""

from __future__ import annotations

from typing import Any, Final

Object = dict[str, Any]

PROMETHEUS: Final = "http://prometheus.monitoring:9090"


def _query(part: str) -> str:
    whole = 'sum(rate(http_requests_total{service="{{args.service-name}}"}[5m]))'
    return f'sum(rate(http_requests_total{{service="{{{{args.service-name}}}}",{part}}}[5m])) / {whole}'


def _metric(name: str, condition: str, limit: int, query: str) -> Object:
    return {
        "name": name,
        "interval": "60s",
        # An empty vector must not count as an error of the measurement: no traffic is no verdict.
        "successCondition": f"len(result) > 0 && {condition}",
        "failureLimit": limit,
        "provider": {"prometheus": {"address": PROMETHEUS, "query": query}},
    }


_P99 = (
    "histogram_quantile(0.99, sum by (le) "
    '(rate(http_request_duration_seconds_bucket{service="{{args.service-name}}"}[5m]))) * 1000'
)

ANALYSIS_TEMPLATES: Final[list[Object]] = [
    {
        "metadata": {"name": "canary-analysis"},
        "spec": {
            "args": [{"name": "service-name"}],
            "metrics": [
                _metric("error-rate", "result[0] < 0.05", 3, _query('code=~"5.."')),
                _metric("latency-p99", "result[0] < 500", 3, _P99),
                _metric("success-rate", "result[0] > 0.99", 2, _query('code!~"5.."')),
            ],
        },
    },
    {
        "metadata": {"name": "smoke-test"},
        "spec": {
            "args": [{"name": "preview-url"}],
            "metrics": [
                {
                    "name": "health-check",
                    "count": 5,
                    "interval": "30s",
                    "provider": {"web": {"url": "{{args.preview-url}}/healthz", "timeoutSeconds": 5}},
                }
            ],
        },
    },
    {
        "metadata": {"name": "post-deploy-check"},
        "spec": {
            "args": [{"name": "active-url"}],
            "metrics": [
                {
                    "name": "health-check",
                    "count": 10,
                    "interval": "30s",
                    "failureLimit": 1,
                    "provider": {"web": {"url": "{{args.active-url}}/healthz", "timeoutSeconds": 5}},
                }
            ],
        },
    },
]


def _service(name: str, app: str, target: int) -> Object:
    return {
        "metadata": {"name": name, "labels": {"app": app}},
        "spec": {
            "type": "ClusterIP",
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": target}],
            "selector": {"app": app},
        },
    }


SERVICES: Final[dict[str, Object]] = {
    "web-frontend-canary": _service("web-frontend-canary", "web-frontend", 8080),
    "web-frontend-stable": _service("web-frontend-stable", "web-frontend", 8080),
    "api-backend-active": _service("api-backend-active", "api-backend", 3000),
    "api-backend-preview": _service("api-backend-preview", "api-backend", 3000),
}

VIRTUAL_SERVICE: Final[Object] = {
    "metadata": {"name": "web-frontend-vsvc", "labels": {"app": "web-frontend"}},
    "spec": {
        "hosts": ["web-frontend.example.com"],
        "http": [
            {
                "name": "primary",
                "route": [
                    {"destination": {"host": "web-frontend-stable"}, "weight": 100},
                    {"destination": {"host": "web-frontend-canary"}, "weight": 0},
                ],
            }
        ],
    },
}

WEB_FRONTEND: Final[Object] = {
    "metadata": {"name": "web-frontend", "labels": {"app": "web-frontend", "team": "web"}},
    "spec": {
        "replicas": 10,
        "revisionHistoryLimit": 3,
        "selector": {"matchLabels": {"app": "web-frontend"}},
        "strategy": {
            "canary": {
                "canaryService": "web-frontend-canary",
                "stableService": "web-frontend-stable",
                "trafficRouting": {
                    "istio": {"virtualService": {"name": "web-frontend-vsvc", "routes": ["primary"]}},
                },
                "analysis": {
                    "templates": [{"templateName": "canary-analysis"}],
                    "startingStep": 2,
                    "args": [{"name": "service-name", "value": "web-frontend-canary"}],
                },
                "steps": [
                    {"setWeight": 5},
                    {"pause": {"duration": "2m"}},
                    {"setWeight": 10},
                    {"pause": {"duration": "5m"}},
                    {"setWeight": 25},
                    {"pause": {"duration": "5m"}},
                    {"setWeight": 50},
                    {"pause": {"duration": "10m"}},
                    {"setWeight": 75},
                    {"pause": {"duration": "10m"}},
                    {"setWeight": 100},
                ],
            }
        },
        "template": {
            "metadata": {"labels": {"app": "web-frontend"}},
            "spec": {
                "containers": [
                    {
                        "name": "web-frontend",
                        "image": "registry.company.com/web-frontend:v2.1.0",
                        "ports": [{"containerPort": 8080}],
                        "resources": {
                            "requests": {"cpu": "200m", "memory": "256Mi"},
                            "limits": {"cpu": "500m", "memory": "512Mi"},
                        },
                        "readinessProbe": {
                            "httpGet": {"path": "/healthz", "port": 8080},
                            "initialDelaySeconds": 5,
                            "periodSeconds": 10,
                        },
                    }
                ]
            },
        },
    },
}

API_BACKEND: Final[Object] = {
    "metadata": {"name": "api-backend", "labels": {"app": "api-backend", "team": "api"}},
    "spec": {
        "replicas": 5,
        "revisionHistoryLimit": 2,
        "selector": {"matchLabels": {"app": "api-backend"}},
        "strategy": {
            "blueGreen": {
                "activeService": "api-backend-active",
                "previewService": "api-backend-preview",
                "autoPromotionEnabled": False,
                "scaleDownDelaySeconds": 300,
                "prePromotionAnalysis": {
                    "templates": [{"templateName": "smoke-test"}],
                    "args": [
                        {
                            "name": "preview-url",
                            "value": "http://api-backend-preview.production.svc.cluster.local",
                        }
                    ],
                },
                "postPromotionAnalysis": {
                    "templates": [{"templateName": "post-deploy-check"}],
                    "args": [
                        {
                            "name": "active-url",
                            "value": "http://api-backend-active.production.svc.cluster.local",
                        }
                    ],
                },
            }
        },
        "template": {
            "metadata": {"labels": {"app": "api-backend"}},
            "spec": {
                "containers": [
                    {
                        "name": "api-backend",
                        "image": "registry.company.com/api-backend:v3.0.0",
                        "ports": [{"containerPort": 3000}],
                        "resources": {},
                    }
                ]
            },
        },
    },
}
