"""
The JSON documents: what commands print, the history keeps, and the API answers; each key stands once.

`XFacts` tells of one thing, `XList` of many, others of what was done or found. A document that has
more where it is printed is a class derived from it. None but those holds where on the machine something
lies: who may read the history need not know the machine.
"""
