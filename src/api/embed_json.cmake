# cmake -DINPUT=x.json -DOUTPUT=x.inc -DTAG_OUTPUT=x_tag.inc -DPROJECT_VERSION=1.2.3 -P embed_json.cmake
#
# Turns a JSON file into the numbers of a char array, to be #included between braces: a string literal
# of this length is more than C++ promises to take. Line breaks and indentation go (a JSON string
# cannot hold a raw line break, so every line break is between tokens); @PROJECT_VERSION@ is filled in. The other
# file gets a string literal: an HTTP entity tag made from the digest of that text.
file(READ ${INPUT} text)
string(CONFIGURE "${text}" text @ONLY)
string(REGEX REPLACE "\n *" "" text "${text}")
file(WRITE ${OUTPUT}.json "${text}")
file(READ ${OUTPUT}.json bytes HEX)
file(REMOVE ${OUTPUT}.json)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
file(WRITE ${OUTPUT} "${bytes}\n")
string(SHA256 digest "${text}")
string(SUBSTRING ${digest} 0 16 digest)
file(WRITE ${TAG_OUTPUT} "\"\\\"${digest}\\\"\"\n")
