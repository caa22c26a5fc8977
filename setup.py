"""Package definition: every direct dependency is named here once.

Versions that are known to work together are pinned in third_party/constraints.txt.
"""

from setuptools import find_packages, setup

setup(
    name="evo_clrs",
    version="0.1.0",
    description="Language models write neural-network code, evolution keeps what works",
    license="Apache-2.0",
    python_requires=">=3.11,<3.13",
    packages=find_packages(include=["evo_clrs", "evo_clrs.*", "launch", "launch.*"]),
    package_data={
        "evo_clrs": ["proposers/templates/*.jinja", "proposers/embedded/model/*"],
        "launch": ["presets/*.flags"],
    },
    install_requires=[
        "absl-py>=2.1",
        "chex>=0.1.90",
        "dm-clrs==2.0.3",
        "dm-haiku>=0.0.16",
        # jax.export writes and reads its artefacts with it, but does not install it.
        "flatbuffers>=24.3",
        "jax>=0.10,<0.12",
        "jinja2>=3.1",
        "mnist1d>=0.0.2",
        "nats_bench>=1.8",
        "numpy>=2.0",
        "openai>=2.0",
        "optax>=0.2.5",
        "orbax-checkpoint>=0.11",
        "ribs>=0.12",
        "rich>=13.9",
        "scikit-learn>=1.6",
        "scipy>=1.14",
        "tensorboardX>=2.6",
    ],
    extras_require={
        "gpu": ["jax[cuda12]>=0.10,<0.12"],
        "tpu": ["jax[tpu]>=0.10,<0.12"],
        "lm": ["torch==2.13.0", "transformers>=5.0", "peft>=0.18", "tokenizers>=0.22"],
        "dev": [
            # The tests start transformers' own server where the extra lm is installed.
            "fastapi>=0.115",
            "hypothesis>=6.100",
            "mypy>=1.15",
            "pytest>=8.3",
            "pytest-xdist>=3.6",
            "ruff>=0.12",
            "uvicorn>=0.30",
        ],
    },
)
