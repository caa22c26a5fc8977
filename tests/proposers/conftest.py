"""Nothing is fetched: the hub's library reads this when it is first imported."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
