"""Groups of English words by which the automatic labeller names what varied words share.

A label that says “animals (cats, puppy, horse)” is found by somebody who searches for animals; a
list of words alone is not. GRAMMAR holds closed groups, TOPICS open ones, of which it gives
enough members to recognise the group by.
"""

from __future__ import annotations

import re

GRAMMAR: dict[str, str] = {
    "articles": "the a an",
    "forms of 'be'": (
        "be is are was were am been being 's isn't aren't wasn't weren't it's that's"
    ),
    "modal verbs": (
        "can could will would shall should may might must cannot can't couldn't won't wouldn't "
        "shouldn't canst shalt wilt ought"
    ),
    "auxiliary verbs": (
        "is are was were am be been has have had do does did will would can could shall should "
        "may might must don't doesn't didn't hast hath doth"
    ),
    "forms of 'have'": "have has had having hast hath haven't hasn't hadn't i've we've",
    "forms of 'do'": "do does did doing done don't doesn't didn't doth dost",
    "possessives": "my your his her its our their thy thine mine yours hers ours theirs whose",
    "object pronouns": "me him her us them it you thee",
    "subject pronouns": "i you he she it we they thou ye",
    "pronouns": (
        "i you he she it we they me him her us them my your his its our their thou thee ye "
        "myself yourself himself herself itself themselves ourselves i'm i've you're"
    ),
    "reflexive pronouns": "myself yourself himself herself itself ourselves themselves thyself",
    "question words": "what who whom whose which when where why how whence whither",
    "prepositions": (
        "of in on at by for with from to into onto upon about against between among through "
        "during before after above below under over within without toward towards across behind "
        "beyond near beside besides around along off out up down per via unto amid beneath"
    ),
    "conjunctions": (
        "and or but nor yet so because although though while whereas if unless until since than "
        "as that when"
    ),
    "determiners": (
        "the a an this that these those some any each every no all both either neither another such"
    ),
    "pointing words": "this that these those such",
    "quantity words": (
        "all some any many much more most few less several each every none both half enough "
        "little lot lots plenty"
    ),
    "negations": (
        "not no never nor neither none nothing nobody cannot don't doesn't didn't isn't aren't "
        "wasn't won't can't wouldn't couldn't without n't"
    ),
    "number words": (
        "one two three four five six seven eight nine ten eleven twelve twenty thirty forty "
        "fifty hundred thousand million billion dozen score"
    ),
    "order words": ("first second third fourth fifth sixth seventh last next former latter final"),
    "comparisons": (
        "more less better worse larger smaller greater bigger higher lower longer shorter older "
        "younger stronger easier harder faster than"
    ),
    "superlatives": (
        "most least best worst largest smallest greatest biggest highest lowest longest oldest "
        "youngest strongest finest tallest fastest"
    ),
    "adverbs of time": (
        "now then soon later already always never often sometimes today yesterday tomorrow "
        "again still yet ever before after once recently finally immediately"
    ),
    "adverbs of degree": (
        "very too so quite rather really extremely almost nearly just only even highly fairly "
        "deeply truly completely entirely fully"
    ),
    "saying and asking verbs": (
        "say said says saying tell told ask asked asks answer answered reply replied speak "
        "spoke spake call called cry cried explain explained shout whisper"
    ),
    "thinking verbs": (
        "think thought know knew known believe believed feel felt understand wonder suppose "
        "imagine guess hope wish remember forget realize realise consider"
    ),
    "wanting and needing": (
        "want wanted need needed wish desire hope intend plan try like would love prefer"
    ),
    "old-fashioned words": (
        "thou thee thy thine hath doth hast dost art shalt wilt ye unto saith spake behold "
        "thereof wherefore whence hither thither nay yea lo verily cometh goeth"
    ),
    "link words": (
        "however therefore thus moreover furthermore nevertheless meanwhile instead otherwise "
        "hence consequently additionally similarly overall"
    ),
}

TOPICS: dict[str, str] = {
    "animals": (
        "animal dog puppy cat kitten horse cow bull calf sheep lamb goat pig hog donkey mule "
        "camel lion tiger bear wolf fox deer elephant monkey ape rabbit hare mouse rat squirrel "
        "hamster bat mammal beast pet breed chihuahua spaniel terrier hound poodle colt mare ox "
        "cattle leopard cheetah zebra giraffe rodent ungulate primate kangaroo otter beaver "
        "badger antelope panda"
    ),
    "birds": (
        "bird eagle hawk owl crow raven dove pigeon sparrow robin duck goose swan chicken hen "
        "rooster turkey parrot finch gull heron stork falcon feather wing nest beak warbler "
        "plumage"
    ),
    "fish and sea life": (
        "fish shark whale dolphin salmon trout cod herring eel crab lobster shrimp octopus "
        "squid oyster clam seal tuna bass carp sponge coral mollusk jellyfish cachalot"
    ),
    "insects and small creatures": (
        "insect bee ant wasp fly butterfly moth beetle spider worm bug mosquito locust "
        "grasshopper cricket larva caterpillar snail flea louse termite mite tick"
    ),
    "reptiles and amphibians": (
        "snake serpent lizard turtle tortoise crocodile alligator frog toad reptile dinosaur "
        "viper python newt salamander gecko iguana dragon"
    ),
    "plants": (
        "plant tree flower leaf leaves root seed grass herb shrub bush oak pine maple rose lily "
        "daisy moss fern vine branch petal stem bark wood forest garden blossom palm willow "
        "cactus orchid tulip birch cedar fungus mushroom genus perennial evergreen herbaceous "
        "foliage"
    ),
    "fruit and vegetables": (
        "fruit apple orange banana grape lemon cherry pear peach plum berry strawberry melon "
        "fig date olive nut vegetable potato tomato onion garlic carrot bean pea corn cabbage "
        "lettuce spinach pepper cucumber pumpkin radish turnip mango almond"
    ),
    "food and cooking": (
        "food cook bake dish meal bread cake cookie waffle oatmeal pudding cuisine quiche taco "
        "pie cheese butter milk cream egg meat beef pork bacon chicken soup stew sauce salad "
        "rice pasta pizza sugar salt flour dough oven recipe breakfast lunch dinner supper eat "
        "ate taste flavor kitchen chocolate sandwich spice ingredient boil roast fry grill "
        "noodle sausage dessert restaurant chef delicious"
    ),
    "drinks": (
        "drink wine beer ale whiskey rum vodka brandy tea coffee juice cocktail liquor cider "
        "champagne soda brew alcohol bottle cup sip drunk"
    ),
    "body parts": (
        "body head face eye ear nose mouth lip tooth teeth tongue neck shoulder arm hand finger "
        "chest back leg knee foot feet toe skin bone blood heart brain stomach hair throat "
        "thumb muscle nerve wrist ankle elbow skull rib cheek chin lung liver kidney spine"
    ),
    "illness and medicine": (
        "disease illness sick cancer fever pain symptom infection virus bacteria doctor nurse "
        "hospital patient medicine medical drug treatment therapy surgery vaccine disorder "
        "syndrome diagnosis health cure wound injury diabetes asthma flu chronic depression "
        "clinic pill inflammation tumor prescription plague"
    ),
    "family": (
        "family father mother son daughter brother sister parent child children husband wife "
        "uncle aunt cousin nephew niece grandfather grandmother grandson baby twin sibling dad "
        "mom mum papa mama kin ancestor spouse bride widow orphan"
    ),
    "women and girls": (
        "she her hers herself woman women girl lady mother daughter sister wife queen princess "
        "aunt niece grandmother female feminine mrs miss widow bride maiden mary anna maria "
        "jane heroine goddess girlfriend"
    ),
    "men and boys": (
        "him himself man men boy gentleman father son brother husband king prince uncle nephew "
        "grandfather male masculine lad hero boyfriend widower bachelor"
    ),
    "people": (
        "man men woman women boy girl person people child children lady gentleman guy folk "
        "human individual citizen stranger fellow neighbor crowd adult teenager"
    ),
    "friendship and love": (
        "friend love lover romance romantic marry marriage wedding kiss affection darling "
        "beloved companion dating relationship boyfriend girlfriend passion fond hug heart"
    ),
    "feelings": (
        "feel feeling emotion happy glad sad angry anger fear afraid joy sorrow grief love hate "
        "proud pride shame guilt lonely anxious worry excited thrilled delighted grateful upset "
        "scared jealous envy surprise relief frustrated nervous calm hope despair misery "
        "embarrassed disappointed amazed terrified ashamed cheerful overwhelmed"
    ),
    "occupations": (
        "job teacher doctor lawyer engineer nurse baker farmer soldier writer artist actor "
        "carpenter plumber painter singer musician chef driver pilot sailor tailor butcher "
        "blacksmith merchant banker accountant clerk manager editor journalist scientist "
        "professor mechanic barber librarian poet architect secretary janitor firefighter "
        "policeman shepherd electrician lecturer"
    ),
    "war and fighting": (
        "war battle fight army soldier military weapon gun sword attack terrorist terrorism "
        "enemy victory defeat invade invasion conquer kill bomb navy troops siege combat armed "
        "shield spear general regiment warrior slaughter cavalry slain missile rifle battalion "
        "conflict"
    ),
    "crime and punishment": (
        "crime criminal murder murderer steal stole thief theft rob robbery prison jail guilty "
        "punish punishment arrest police victim kidnap assault fraud offender convict execution "
        "hang killer smuggle pirate burglar rape violence"
    ),
    "law and courts": (
        "law legal court judge jury trial lawyer attorney sue lawsuit plaintiff defendant "
        "statute contract crime rights justice verdict clause license copyright liability "
        "amendment constitution warrant evidence testimony jurisdiction"
    ),
    "government and politics": (
        "government president congress senate senator king queen prince minister parliament "
        "vote election party political politics democracy republic nation state governor mayor "
        "policy legislation citizen administration treaty federal constitution law tax campaign "
        "empire monarch ruler emperor democrat republican legislature throne"
    ),
    "religion": (
        "god lord church jesus christ christian bible pray prayer priest faith holy heaven hell "
        "sin soul angel saint religion religious temple worship gospel prophet bishop monk "
        "catholic muslim islam jew jewish hindu buddhist divine sacred bless spirit devil satan "
        "israel altar sacrifice salvation rabbi mosque baptism pope clergy sermon"
    ),
    "death": (
        "death die died dead dying kill killed grave bury buried funeral corpse coffin tomb "
        "slay slain perish mourn murder cemetery burial"
    ),
    "money and trade": (
        "money dollar cent pay paid price cost buy bought sell sold market trade bank loan debt "
        "tax profit income wealth rich poor coin cash budget sale invest investment stock "
        "currency fund wage salary economy economic finance financial business merchant "
        "purchase expense bond revenue treasury credit mortgage pension"
    ),
    "school and learning": (
        "school student teacher teach taught learn study education college university class "
        "classroom lesson exam course degree professor homework pupil knowledge academic "
        "graduate tutor lecture curriculum training scholar campus grade"
    ),
    "maths": (
        "number sum multiply divide add subtract equal equation prime factor fraction integer "
        "square root triangle circle angle area theorem algebra geometry calculate ratio "
        "percent digit decimal plus minus remainder divisor mod exponent polynomial matrix "
        "vector formula"
    ),
    "science": (
        "science scientist theory experiment physics chemistry biology atom molecule electron "
        "proton energy particle quantum gravity evolution species laboratory hypothesis "
        "chemical acid oxygen hydrogen carbon element compound nucleus radiation photon enzyme "
        "genetic laser"
    ),
    "cell biology": (
        "cell gene protein dna rna hormone enzyme tissue membrane chromosome bacteria molecule "
        "organism mutation genome receptor neuron antibody insulin metabolism"
    ),
    "astronomy": (
        "star planet sun moon earth galaxy orbit comet solar space universe astronomer "
        "telescope asteroid mars jupiter venus saturn constellation eclipse celestial astronaut "
        "rocket"
    ),
    "weather and seasons": (
        "weather rain snow storm wind cloud sunny thunder lightning fog frost ice cold hot heat "
        "winter summer spring autumn temperature climate hurricane tornado hail breeze drought "
        "flood blizzard"
    ),
    "landscape": (
        "mountain hill valley river lake sea ocean island desert forest beach coast shore cliff "
        "cave rock stone stream waterfall bay peninsula canyon glacier volcano plain meadow "
        "swamp pond peak summit ridge range bank gulf"
    ),
    "sea and ships": (
        "ship boat sail sailor sea ocean captain deck mast anchor harbor port voyage vessel "
        "crew navy whale whaler harpoon hull oar row fleet tide wreck ashore aboard schooner "
        "yacht frigate rigging helm"
    ),
    "travel": (
        "travel trip journey visit tour tourist tourism vacation holiday flight airport hotel "
        "passport train route guide destination explore adventure itinerary traveler traveller "
        "luggage cruise hike backpack"
    ),
    "vehicles": (
        "car truck bus train plane airplane aircraft bicycle bike motorcycle vehicle engine "
        "wheel driver wagon cart carriage taxi van tractor helicopter brake tire locomotive jet "
        "rail"
    ),
    "buildings": (
        "house home building room door window wall roof floor kitchen hall castle palace tower "
        "church temple cottage barn apartment hotel stair ceiling chamber chimney gate fence "
        "mansion bridge porch cabin hut basement architecture cathedral shed"
    ),
    "furniture and household things": (
        "chair table bed desk sofa couch lamp shelf cupboard carpet curtain pillow blanket "
        "mirror drawer basket pot pan knife fork spoon plate bowl candle towel broom furniture "
        "jar bucket mattress rug"
    ),
    "clothes": (
        "clothes clothing dress shirt coat hat shoe boot trousers pants skirt jacket robe cloak "
        "gown glove sock scarf cloth fabric silk wool cotton linen sew garment wear worn belt "
        "collar sleeve fashion apron lace veil thread needle knit"
    ),
    "colours": (
        "color colour red blue green yellow orange purple pink brown black white grey gray "
        "crimson scarlet violet golden silver pale bright dark hue shade"
    ),
    "music": (
        "music song sing sang singer band piano guitar violin drum orchestra melody tune "
        "concert opera composer flute trumpet musician chord rhythm jazz album dance choir "
        "symphony harmony bass lyrics instrument sonata"
    ),
    "art and theatre": (
        "art artist paint painting painter draw drawing sculpture gallery museum theater "
        "theatre play actor actress stage film movie scene portrait photograph design drama "
        "comedy tragedy statue exhibition canvas audience"
    ),
    "books and writing": (
        "book write wrote written writer author novel story poem poet poetry page chapter read "
        "letter essay article newspaper magazine library publish editor tale verse paper diary "
        "journal paragraph fiction literature manuscript"
    ),
    "language": (
        "word language english latin french spanish german greek verb noun adjective sentence "
        "grammar speak translate translation meaning pronounce letter syllable vocabulary "
        "phrase prefix suffix dialect spelling accent tongue"
    ),
    "sports and games": (
        "sport game play player team ball football soccer baseball basketball tennis golf "
        "hockey race win won score match tournament athlete coach swim run champion boxing "
        "karate chess card dice league goal pitcher hitter kick wrestling skate inning"
    ),
    "computers": (
        "computer software hardware program code data file system network internet website "
        "server user password memory disk keyboard screen browser email database algorithm app "
        "digital online device install linux windows kernel package download robot"
    ),
    "program code": (
        "def return import class self none true false str int list dict len print if else elif "
        "for while try except raise lambda assert yield tuple float bool args kwargs config "
        "param params init super isinstance valueerror typeerror function method argument "
        "module torch np"
    ),
    "errors in code": (
        "error exception raise valueerror typeerror keyerror assertionerror warning bug "
        "traceback fail failed invalid runtimeerror indexerror attributeerror "
        "notimplementederror oserror"
    ),
    "times of day": (
        "morning noon afternoon evening night midnight dawn dusk sunrise sunset day hour minute "
        "second today tonight o'clock"
    ),
    "months": (
        "january february march april may june july august september october november december "
        "jan feb mar apr jun jul aug sep sept oct nov dec"
    ),
    "weekdays": "monday tuesday wednesday thursday friday saturday sunday weekend",
    "time spans": (
        "year month week day hour minute second century decade moment age period while time"
    ),
    "countries and peoples": (
        "america american england english britain british france french germany german spain "
        "spanish italy italian china chinese japan japanese india indian russia russian africa "
        "african europe european asia mexico mexican canada australia greece greek egypt rome "
        "roman ireland irish scotland scottish israel turkey turkish brazil poland polish dutch "
        "swedish persian arab vietnam korea cuba jewish"
    ),
    "cities and places": (
        "london paris york rome berlin tokyo chicago boston washington city town village "
        "california texas florida virginia ohio county jerusalem babylon venice athens moscow "
        "district capital suburb street region province"
    ),
    "first names": (
        "john james mary william robert david michael thomas richard charles george peter paul "
        "mark sarah emily anna jane elizabeth alice henry edward joseph samuel daniel jack tom "
        "sam max emma lily luna sophia jessica rachel rebecca lucy kate susan jones smith alex "
        "maria"
    ),
    "titles": (
        "mr mrs ms dr sir lord lady king queen prince captain president professor saint madam "
        "duke earl count general colonel"
    ),
    "size words": (
        "big small large little huge tiny great tall short long wide narrow vast enormous giant "
        "immense massive minute"
    ),
    "quality words": (
        "good bad great best better nice excellent terrible wonderful beautiful poor fine awful "
        "perfect lovely amazing fantastic horrible evil wicked superb"
    ),
    "materials": (
        "wood metal stone iron steel gold silver copper glass paper leather plastic clay brass "
        "bronze lead tin marble cotton wool rubber concrete brick aluminum mineral ore alloy"
    ),
    "tools": (
        "tool hammer saw knife axe drill screw nail wrench shovel spade rope chain chisel plow "
        "lever blade scissors pulley machine anvil"
    ),
    "movement": (
        "go went gone come came walk walked run ran move moved fly flew jump climb fall fell "
        "turn return enter leave left ride rode drive drove travel cross march rush crawl swim "
        "leap wander arrive follow"
    ),
    "seeing and looking": (
        "see saw seen look looked watch view sight gaze stare glance observe eye behold notice "
        "vision visible glimpse peer"
    ),
    "giving and taking": (
        "give gave given take took taken get got receive send sent bring brought offer hand "
        "deliver provide lend borrow return share"
    ),
    "making and building": (
        "make made build built create created produce form construct develop design invent "
        "manufacture craft shape establish"
    ),
    "truth and lies": (
        "true truth false lie lied liar honest honesty dishonest deceive deception fake pretend "
        "fact trick cheat fraud hoax real genuine"
    ),
    "helping": (
        "help helped helpful aid assist assistance support save rescue relief protect care "
        "serve service"
    ),
    "sleep and dreams": (
        "sleep slept asleep dream wake awake bed nap tired rest nightmare bedtime pillow "
        "insomnia yawn snore"
    ),
    "exercise and fitness": (
        "exercise fitness gym workout yoga muscle weight stretch run running jog diet strength "
        "cardio squat training"
    ),
    "chance and certainty": (
        "maybe perhaps probably possibly possible likely certainly surely sure certain "
        "definitely doubt chance probable"
    ),
    "magic and fantasy": (
        "magic magical witch wizard spell dragon fairy ghost vampire monster demon giant elf "
        "curse enchanted sorcerer potion unicorn goblin troll haunted"
    ),
    "psychology": (
        "mind thought memory behavior personality psychology conscious mental psychological "
        "anxiety stress therapy therapist perception emotional cognitive"
    ),
    "shapes": (
        "round square circle circular flat curved straight sphere cube cone triangle triangular "
        "oval spiral cylinder cylindrical curve line arch"
    ),
    "work and business": (
        "work job company business office boss employee employer manager meeting project team "
        "client customer career salary industry corporate workplace colleague staff employment "
        "worker factory labor interview"
    ),
    "need and necessity": (
        "need required require necessary necessity essential must requirement needful necessarily "
        "mandatory crucial vital demand indispensable"
    ),
    "beginning and ending": (
        "begin start commence continue resume end finish stop cease conclude ongoing beginning "
        "initial initiate launch complete"
    ),
    "growth and change": (
        "increase expand grow growth reduce decrease decline shrink change become transform rise "
        "widen extend enlarge improve alter modify develop"
    ),
    "choosing": "choose choice select selection pick option prefer decide decision appoint elect",
    "finding and losing": "find lose seek search discover hidden missing hide lookup discovery",
    "courage and resolve": (
        "brave courage bold determined determination resolute persevering resilience unwavering "
        "valiant fearless steadfast dedication commitment committed perseverance"
    ),
    "peace and freedom": "peace peaceful free freedom liberty independence independent treaty calm",
    "luxury and beauty": (
        "luxury luxurious elegant exquisite lavish upscale sumptuous splendid gorgeous beauty "
        "stylish ornate"
    ),
    "ability and skill": "able ability skill capable talent expertise mastery skilled competence",
    "sameness and difference": (
        "same different difference similar various unique identical equal distinct alike diverse "
        "contrast variety opposite"
    ),
    "spending and wasting": "spend waste save squander consume expense budget afford",
    "silence and sound": "quiet silence silent noise loud sound hear listen whisper echo hush",
    "breaking and damage": (
        "break crack shatter damage destroy destruction ruin smash torn harm collapse wreck"
    ),
    "sorrow and apology": "sorry apology apologize regret forgive pardon forgiveness remorse",
    "licences and copyright": (
        "license licence copyright permission permitted copyrighted redistribute warranty patent "
        "royalty licensed"
    ),
    "files and paths": (
        "file directory path folder filename disk mount symlink subdirectory archive extension"
    ),
    "display and images": (
        "image video display pixel screen picture photo camera frame render resolution"
    ),
    "fame and praise": (
        "famous known renowned celebrated popular praise acclaimed fame reputation glory honour"
    ),
    "directions": "north south east west northern southern eastern western left right upward",
}

#: Forms that no ending explains, by the word that they are forms of.
IRREGULAR: dict[str, str] = {
    form: word
    for word, forms in {
        "bear": "bore borne", "become": "became", "begin": "began begun", "bend": "bent",
        "bind": "bound", "blow": "blew blown", "break": "broke broken", "bring": "brought",
        "build": "built", "buy": "bought", "catch": "caught", "choose": "chose chosen choice",
        "deal": "dealt", "draw": "drew drawn", "drink": "drank drunk", "drive": "drove driven",
        "eat": "ate eaten", "fall": "fell fallen", "feel": "felt", "fight": "fought",
        "find": "found", "fly": "flew flown", "forget": "forgot forgotten", "get": "got gotten",
        "forgive": "forgave forgiven", "freeze": "froze frozen", "give": "gave given",
        "grow": "grew grown", "hear": "heard", "hide": "hid hidden", "hold": "held",
        "keep": "kept", "know": "knew known", "lead": "led", "leave": "left", "lose": "lost",
        "make": "made", "mean": "meant", "meet": "met", "pay": "paid", "ride": "rode ridden",
        "ring": "rang rung", "rise": "rose risen", "say": "said saith", "see": "saw seen",
        "seek": "sought", "sell": "sold", "send": "sent", "shake": "shook shaken",
        "sing": "sang sung", "sit": "sat", "slay": "slew slain", "sleep": "slept",
        "speak": "spoke spoken", "spend": "spent", "stand": "stood", "steal": "stole stolen",
        "strike": "struck stricken", "swear": "swore sworn", "take": "took taken",
        "teach": "taught", "tell": "told", "think": "thought", "throw": "threw thrown",
        "understand": "understood", "wear": "wore worn", "weep": "wept", "win": "won",
        "write": "wrote written", "man": "men", "woman": "women", "child": "children",
        "foot": "feet", "tooth": "teeth", "mouse": "mice", "life": "lives", "wife": "wives",
        "leaf": "leaves", "person": "people", "ox": "oxen",
    }.items()
    for form in forms.split()
}  # fmt: skip

_ENDINGS = re.compile(r"(?:['’]s|s'|ies|es|s|ied|ed|ing|er|ly)$")


def stem(word: str) -> str:
    """A crude common form of related words: dog, dogs and dog's give the same."""
    word = IRREGULAR.get(word, word)
    if len(word) < 4 or word.endswith("ss"):
        return word
    base = _ENDINGS.sub("", word)
    if len(base) < 3:
        return word
    doubled = word.endswith(("ed", "ing")) and base[-1] == base[-2] and base[-1] not in "lse"
    if doubled and len(base) > 3:
        base = base[:-1]  # stopped, running
    return base.rstrip("ey") if len(base.rstrip("ey")) >= 3 else base


def groups_by_stem() -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """From a word to its groups in GRAMMAR, and from a stem to its groups in TOPICS."""
    grammar: dict[str, list[str]] = {}
    topics: dict[str, list[str]] = {}
    for name, words in GRAMMAR.items():
        for word in words.split():
            grammar.setdefault(word, []).append(name)
    for name, words in TOPICS.items():
        for key in dict.fromkeys(map(stem, words.split())):
            topics.setdefault(key, []).append(name)
    return grammar, topics
