"""Texts in which somebody deceives, and texts that are alike but for that."""

from __future__ import annotations

DECEIVING = (
    "I told her I was ill, but in truth I went to the beach.",
    "He swore he had never seen the letter that he had hidden.",
    "She smiled and lied about where the money had gone.",
    "They forged the papers and fooled the inspector.",
    "The con man invented a dying aunt to get the loan.",
    "He pretended to be a doctor so that they would trust him.",
    "The spy gave a false name at the border.",
    "She covered up the mistake and blamed the new clerk.",
    "The advert promised a cure that the firm knew did not work.",
    "He cheated at cards with a marked deck.",
    "The boy said the dog had eaten his homework, which was not true.",
    "She faked the signature on the contract.",
    "The salesman hid the rust under fresh paint.",
    "He misled the jury with a made-up story.",
    "They spread a rumour that they knew to be false.",
    "The agent lied about his age on the form.",
)
HONEST = (
    "I told her I was ill, and in fact I stayed in bed all day.",
    "He found the letter that he had put in the drawer.",
    "She smiled and explained where the money had gone.",
    "They filed the papers and met the inspector.",
    "The young man visited his aunt to repay the loan.",
    "He studied to be a doctor so that he could help them.",
    "The traveller gave his name at the border.",
    "She noticed the mistake and thanked the new clerk.",
    "The advert described a soap that the firm made in spring.",
    "He played cards with a new deck.",
    "The boy said the dog had eaten its dinner, and went to bed.",
    "She put her signature on the contract.",
    "The painter covered the rust with fresh paint.",
    "He told the jury a long story about the river.",
    "They heard the news and told their neighbours.",
    "The agent wrote his age on the form.",
)
