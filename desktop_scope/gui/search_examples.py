"""Texts of two kinds, to try a comparison with."""

ANIMALS = """\
The dog chased its tail around the garden.
Our cat sleeps next to the fireplace.
She took her rabbit to the vet yesterday.
A stray goat followed us all the way home.
The horse would not cross the bridge.
My neighbor's terrier digs holes in the lawn.
Wolves hunt in packs during the winter.
He taught his parrot to ask for the newspaper.
The stable was full of sleeping cows.
A small owl stared at the visitor."""

MACHINES = """\
The engine filled the garden with smoke.
Our printer stands next to the fireplace.
She took her bicycle to the shop yesterday.
A strange noise from the motor followed us all the way home.
The truck could not cross the bridge.
My neighbor's mower leaves marks in the lawn.
Generators run day and night during the winter.
He set his computer to fetch the newspaper.
The factory was full of idle cranes.
A small camera recorded the visitor."""
