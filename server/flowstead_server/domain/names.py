"""Generated names of flow runs: two English words, so that people can say them."""

from __future__ import annotations

import random
from typing import Final

_ADJECTIVES: Final = """
    amber ancient arctic autumn azure bashful bold bouncing brave breezy bright brisk calm candid careful cedar
    cheerful chestnut clever cobalt copper coral cosmic crimson crisp curious daring dashing dawning deft dotted
    eager early earnest elated emerald fabled fearless festive fluent fond frosty gallant gentle gilded glad gleaming
    golden graceful grand granite hazel hidden honest humble indigo ivory jade jaunty jolly jovial keen kind
    lanky lavender lively loyal lucid lunar magenta marble mellow merry mighty mindful misty modest mossy muted
    nimble noble northern ochre olive opal orange orchid patient pearly placid playful plucky polished proud prudent
    quaint quick quiet radiant rapid ready refined robust rosy ruby rustic saffron sandy scarlet serene shining silent
    silver sincere sleek smiling snowy solar solid southern sparkling spirited spruce steady stellar sturdy sunny
    swift tawny teal thankful thrifty tidy topaz tranquil trusty turquoise upbeat valiant velvet verdant vibrant
    violet vivid warm western whimsical wise witty woodland young zealous
"""
_NOUNS: Final = """
    acorn alder alpaca anchor antelope apricot aspen auk badger bamboo barley basil beacon beaver beech birch bison
    bobcat brook buffalo bumblebee buttercup camel canyon caribou cascade cedar cheetah cherry cicada clover comet
    condor coral cormorant cove cricket crocus curlew cypress daisy delta dingo dolphin dormouse dragonfly dune eagle
    egret elk elm ember falcon fern ferret finch firefly fjord flamingo fox gannet gazelle gecko geyser gibbon ginkgo
    glacier goldfinch grouse gull hamster harbor hare harrier hawk hazel hedgehog heron hickory hornbill ibex ibis
    iguana iris island ivy jackal jaguar jasmine jay juniper kestrel kingfisher kiwi koala lagoon larch lark laurel
    lemur leopard lichen lilac linnet llama lobster lotus lynx macaw magpie mallow mammoth manatee maple marigold
    marmot marten meadow meerkat merlin mink mole mongoose moose moth mulberry narwhal nettle newt nuthatch oak oasis
    ocelot opossum orca orchid oriole osprey otter owl panda panther parrot peacock pelican penguin peony petrel pine
    plover polecat poplar poppy porpoise prairie puffin puma quail quokka rabbit raccoon raven reef robin rook
    rosemary rowan sage salmon sandpiper seal sequoia shearwater skylark snowdrop sparrow squirrel starling stork
    summit swallow swan swift tapir teal tern thistle thrush tiger toucan trout tulip tundra turtle vale viper vole
    walnut walrus warbler weasel whale willow wolf wombat woodpecker wren yak yew zebra
"""


ADJECTIVES: Final = tuple(_ADJECTIVES.split())
NOUNS: Final = tuple(_NOUNS.split())


def generate_run_name() -> str:
    """Return a name such as `woodland-leopard`. Names may repeat."""
    return f"{random.choice(ADJECTIVES)}-{random.choice(NOUNS)}"  # noqa: S311 - a name is no secret
