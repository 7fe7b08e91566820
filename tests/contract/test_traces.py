from tests.contract.trace_player import *
import pytest
S=[Story("01"),
   Story("06", rollout(steps=[{"setWeight":25},{"pause":{"duration":"40s"}}],abortScaleDownDelaySeconds=2)),
   Story("07", rollout(abortScaleDownDelaySeconds=5), before=lambda c: c.set(unsaturated="production/web-frontend")),
   Story("02", rollout(abortScaleDownDelaySeconds=5), marks={"one stable pod becomes unready": lambda c: c.set(stable_missing_pod="production/web-frontend"), "stable pod ready again": lambda c: c.set(stable_missing_pod=None)}),
]
@pytest.mark.parametrize("story",S,ids=lambda s:s.trace)
def test_t(story):
    r,p=replay(story)
    assert r==p, "\n"+difference_of(r,p)
